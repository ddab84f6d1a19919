import type { TableName } from '../contract/table-name.ts';
import pg from 'pg';

/** Quotes a name, always: reserved words, upper case and quotes are then all the same. */
export const quoteName = (name: string): string => pg.escapeIdentifier(name);

export const quoteTable = ({ schema, name }: TableName): string => `${quoteName(schema)}.${quoteName(name)}`;

/** Quotes a text as a literal, for statements that take no parameters (DDL, COPY, SET). */
export const quoteText = (text: string): string => pg.escapeLiteral(text);
