import { makeBenchTable } from './bench-table.ts';
import { execute, query } from './execute.ts';
import type { Case } from './in-turn.ts';
import type { SourceTable } from './peers/peer.ts';

/** Creates the benchmark table and describes it as a case. */
export async function eventsCase(url: string, rows: number): Promise<Case> {
  await execute(url, 'DROP TABLE IF EXISTS events');
  await makeBenchTable(url, rows);
  return describeCase(url, `${rows.toLocaleString('en-US')} rows`, ['events']);
}

/** Describes tables of the schema `public`, with their rows and bytes. */
export async function describeCase(url: string, name: string, names: readonly string[]): Promise<Case> {
  const tables = await describeTables(url, names);
  const counts = names.map((table) => `(SELECT count(*) FROM public."${table}")`);
  const sizes = names.map(
    (table) =>
      `(SELECT sum(pg_table_size(relid)) FROM (SELECT relid FROM pg_partition_tree('public."${table}"') UNION SELECT 'public."${table}"'::regclass) AS parts)`,
  );
  const [found] = await query<{ rows: string; bytes: string }>(
    url,
    `SELECT ${counts.join(' + ')} AS rows, ${sizes.join(' + ')} AS bytes`,
  );
  return { name, tables, rows: Number(found?.rows), bytes: Number(found?.bytes) };
}

async function describeTables(url: string, names: readonly string[]): Promise<SourceTable[]> {
  const columns = await query<{ table: string; name: string; type: string }>(
    url,
    `SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum`,
  );
  return names.map((name) => ({ name, columns: columns.filter(({ table }) => table === name) }));
}
