import { type Client, escapeIdentifier } from 'pg';
import { expect } from 'vitest';
import { parseTableName } from '../../src/contract/table-name.ts';

/** Settings that keep the text of a value independent of session, role and server. */
const SAME_TEXT = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
  SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'`;

export interface SameRowsOptions {
  /** The columns to compare; all of the source table by default. */
  readonly columns?: readonly string[];
  /** The rows of the source that must be in bronze; all by default. */
  readonly where?: string;
  /** The rows of bronze to compare with; all by default. */
  readonly targetWhere?: string;
  /** Source expressions for columns whose type differs in bronze. */
  readonly as?: Readonly<Record<string, string>>;
}

/** Digests of columns and whole rows, and a row count: equal only if every value occurs as often on both sides. */
export type Digests = Readonly<Record<string, string>>;

/** Expects exactly the rows of a source table in a bronze table, with the same values, in any order. */
export async function expectSameRows(
  { source, warehouse }: { readonly source: Client; readonly warehouse: Client },
  table: string,
  target: string,
  { columns, where = 'true', targetWhere = 'true', as = {} }: SameRowsOptions = {},
): Promise<void> {
  const names = columns ?? (await columnsOf(source, table));
  const [read, written] = await Promise.all([
    digests(source, table, names, { where, as }),
    digests(warehouse, target, names, { where: targetWhere, as: {} }),
  ]);
  expect(written, `${target} by column`).toEqual(read);
}

/** Summarizes the contents of a table, with one short text per column. */
export async function digests(
  client: Client,
  table: string,
  columns: readonly string[],
  { where, as }: Required<Pick<SameRowsOptions, 'where' | 'as'>>,
): Promise<Digests> {
  const asked = new Map(Object.entries(as));
  const texts = columns.map((name) => `format('%L', ${asked.get(name) ?? escapeIdentifier(name)})`);
  // a sum does not depend on the order of rows, and counts repeated values
  const sums = [...texts, `ROW(${texts.join(', ')})::text`].map(
    (text) => `sum(hashtextextended(${text}, 42))`,
  );
  const answers = sums.map((sum, index) => `${sum} AS ${escapeIdentifier(columns[index] ?? 'whole rows')}`);
  await client.query(SAME_TEXT);
  const { rows } = await client.query<Digests>(
    `SELECT ${answers.join(', ')}, count(*) AS "number of rows" FROM ${quoted(table)} WHERE ${where}`,
  );
  return rows[0] ?? {};
}

async function columnsOf(client: Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [quoted(table)],
  );
  return rows.map(({ name }) => name);
}

function quoted(text: string): string {
  const name = parseTableName(text);
  if (name === undefined) throw new Error(`not the name of a table: ${text}`);
  return `${escapeIdentifier(name.schema)}.${escapeIdentifier(name.name)}`;
}
