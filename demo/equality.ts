import { type Client, escapeIdentifier } from 'pg';
import { parseTableName, type TableName } from '../src/contract/table-name.ts';

/** A value that two tables share only if they hold the same rows, in any order. */
export interface Fingerprint {
  readonly rows: string;
  readonly checksum: string;
}

export interface Comparison {
  readonly table: string;
  readonly source: Fingerprint;
  readonly bronze: Fingerprint;
  readonly equal: boolean;
}

/** Settings that keep the text of a value independent of the configuration of the two servers. */
const SAME_TEXT = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
  SET extra_float_digits = 1; SET bytea_output = 'hex'`;

const COLUMNS = `SELECT attname AS name FROM pg_attribute
  WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;

/** Compares the columns of the source; bronze adds metadata columns. */
export async function compareTable(
  source: Client,
  warehouse: Client,
  table: string,
  target: string,
): Promise<Comparison> {
  const [from, to] = [quoted(table), quoted(target)];
  const { rows } = await source.query<{ name: string }>(COLUMNS, [from]);
  const columns = rows.map(({ name }) => name);
  const [expected, found] = await Promise.all([
    fingerprint(source, from, columns),
    fingerprint(warehouse, to, columns),
  ]);
  const equal = expected.rows === found.rows && expected.checksum === found.checksum;
  return { table, source: expected, bronze: found, equal };
}

/** Computed by both servers: the sum does not depend on the order of rows, and counts duplicates. */
function fingerprintQuery(table: string, columns: readonly string[]): string {
  const row = `ROW(${columns.map(escapeIdentifier).join(', ')})::text`;
  return `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(${row}, 0)), 0)::text AS checksum FROM ${table}`;
}

async function fingerprint(client: Client, table: string, columns: readonly string[]): Promise<Fingerprint> {
  await client.query(SAME_TEXT);
  const { rows } = await client.query<Fingerprint>(fingerprintQuery(table, columns));
  if (rows[0] === undefined) throw new Error(`no answer about ${table}`);
  return rows[0];
}

function quoted(text: string): string {
  const name: TableName | undefined = parseTableName(text);
  if (name === undefined) throw new Error(`not the name of a table: ${text}`);
  return `${escapeIdentifier(name.schema)}.${escapeIdentifier(name.name)}`;
}
