import type { TableName } from '../contract/table-name.ts';
import { escapeIdentifier, escapeLiteral } from 'pg';

/** Always quotes a name, so that reserved words, upper case and quotes need no special care. */
export const quoteName = (name: string): string => escapeIdentifier(name);

export const quoteTable = ({ schema, name }: TableName): string => `${quoteName(schema)}.${quoteName(name)}`;

/** Quotes a text as a literal, for statements that take no parameters (DDL, COPY, SET). */
export const quoteText = (text: string): string => escapeLiteral(text);
