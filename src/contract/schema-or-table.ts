import { z } from 'zod';
import { nameParts } from './name-parts.ts';
import { identifier, tableName, type TableName } from './table-name.ts';

/** All tables of a schema, or one table. */
export type SchemaOrTable =
  { readonly schema: string; readonly all: true } | (TableName & { readonly all?: never });

export const includesTable = (wanted: SchemaOrTable, { schema, name }: TableName): boolean =>
  schema === wanted.schema && (wanted.all === true || name === wanted.name);

const expected = 'expected "orders", "sales.orders", {"schema": "sales", "table": "orders"} or "sales.*"';

const wholeSchema = z.string().transform((text, context): SchemaOrTable => {
  const [schema, star, ...more] = nameParts(text) ?? [];
  const isWhole = star?.text === '*' && !star.quoted && more.length === 0;
  if (schema !== undefined && isWhole && identifier.safeParse(schema.text).success) {
    return { schema: schema.text, all: true };
  }
  context.addIssue({ code: 'custom', message: expected });
  return z.NEVER;
});

/** `"orders"`, `"sales.orders"` or `"sales.*"`, at least one of them. */
export const schemasAndTables = z
  .array(z.union([wholeSchema, tableName], { error: expected }), {
    error: 'expected a list of tables such as ["public.*"] or ["orders", "sales.orders"]',
  })
  .min(1, 'expected at least one table');
