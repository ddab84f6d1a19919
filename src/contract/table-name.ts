import { z } from 'zod';
import { nameParts } from './name-parts.ts';

/** A table by its exact names, as in the catalog. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** PostgreSQL silently truncates longer names (NAMEDATALEN - 1), so they are refused here instead. */
export const MAX_IDENTIFIER_BYTES = 63;

/** A name that the catalog can hold. */
export const identifier = z
  .string()
  .min(1, 'expected a name')
  .refine((name) => !name.includes('\0'), 'a name has no NUL character')
  .refine((name) => !isTooLong(name), `a PostgreSQL name has at most ${MAX_IDENTIFIER_BYTES} bytes`);

/**
 * Parses `orders`, `sales.orders` or `"odd.schema"."Odd ""name"""`.
 *
 * Names are exact: unlike in SQL, nothing is folded to lower case. Quotes are only needed around a name that
 * contains a dot or a quote. The schema defaults to `public`.
 */
export function parseTableName(text: string): TableName | undefined {
  const [first, second, ...more] = nameParts(text) ?? [];
  if (first === undefined || more.length > 0) return undefined;
  return second === undefined
    ? { schema: 'public', name: first.text }
    : { schema: first.text, name: second.text };
}

/** Formats a table as text that {@link parseTableName} reads back to the same table. */
export function formatTableName({ schema, name }: TableName): string {
  return `${quotedWhereNeeded(schema)}.${quotedWhereNeeded(name)}`;
}

/** Returns the bare name of a table in the given schema, otherwise the name with its schema: no two are alike. */
export const formatWithin = (schema: string, table: TableName): string =>
  table.schema === schema ? quotedWhereNeeded(table.name) : formatTableName(table);

const quotedWhereNeeded = (name: string): string =>
  /[".]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;

const expectedTable =
  'expected "orders", "sales.orders" or {"schema": "sales", "table": "orders"}; quote a name that holds a dot or a quote: "\\"odd.schema\\".orders"';

const tableText = z.string().transform((text, context): TableName => {
  const table = parseTableName(text);
  if (table === undefined) {
    context.addIssue({ code: 'custom', message: expectedTable });
    return z.NEVER;
  }
  for (const part of [table.schema, table.name]) {
    const message = identifier.safeParse(part).error?.issues[0]?.message;
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  }
  return table;
});

const tableObject = z
  .strictObject({ schema: identifier.default('public'), table: identifier })
  .transform(({ schema, table }): TableName => ({ schema, name: table }));

/** A table of the source, in any form that people write. */
export const tableName = z.union([tableText, tableObject], { error: expectedTable });

/** Returns true if a name has more bytes than PostgreSQL keeps of one. */
export const isTooLong = (name: string): boolean => utf8Length(name) > MAX_IDENTIFIER_BYTES;

/** Returns the UTF-8 length in bytes, counted without TextEncoder, which the workflow sandbox lacks. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}
