import { difficultValues } from '../test/bronze/difficult-values.ts';
import type { Bench } from './bench.ts';
import { describeCase } from './cases.ts';
import { execute, query } from './execute.ts';
import { allPeers } from './peers/all-peers.ts';
import type { SourceTable } from './peers/peer.ts';
import type { Kept, Section, ValuesKept } from './result.ts';
import { say } from './say.ts';
import { ourselves, peerSubjects, type Subject } from './subjects.ts';

/** The types to try: common ones in tables, out of those with difficult values in the tests. */
const types = [
  'boolean', 'smallint', 'integer', 'bigint', 'numeric', 'numeric(10,2)', 'real', 'double precision', 'money',
  'text', 'character varying(10)', 'character(4)', 'bytea', 'uuid', 'bit(3)', 'bit varying', 'date',
  'time without time zone', 'time with time zone', 'timestamp without time zone', 'timestamp with time zone', 'interval',
  'inet', 'cidr', 'macaddr', 'json', 'jsonb', 'xml', 'point', 'int4range', 'tstzrange', 'integer[]', 'text[]',
]; // prettier-ignore

/** All peers except two pandas methods, which produce the same values as the basic one, in chunks. */
const tried = allPeers
  .map(({ name }) => name)
  .filter((name) => name !== 'pandas: chunked' && name !== 'pandas: parallel');

/** Checks whether values of difficult types arrive unchanged, with this project and each peer. */
export async function valuesKept(bench: Bench): Promise<Section> {
  const { stack } = bench;
  const tables = new Tables(stack.sourceUrl);
  await tables.of(types);
  const { ready, leftOut } = await bench.peers(tried);
  const entries: ValuesKept[] = [];
  const subjects = [await ourselves(stack), ...(await peerSubjects(stack, ready))];
  for (const subject of subjects) {
    const kept = await tryTypes(stack.sourceUrl, subject, tables, types);
    entries.push({ subject: subject.name, types: kept, together: !Object.values(kept).includes('refused') });
    const exact = Object.values(kept).filter((result) => result === 'exact').length;
    say(`  ${subject.name}: ${exact} of ${types.length} types exact`);
    await subject.close();
  }
  return {
    kind: 'values',
    title: 'Values that are kept',
    about: `A table with a column of each of ${types.length} types and ${String(await countValues(stack.sourceUrl))} difficult values: limits, infinities, NaN, empty values, characters that a text format escapes, arrays with explicit bounds, and NULL.`,
    entries,
    leftOut,
  };
}

const columnOf = (type: string): string => `column_${types.indexOf(type) + 1}`;

/** Tables of difficult values, created on first use. */
class Tables {
  readonly #url: string;
  readonly #made = new Map<string, SourceTable>();

  constructor(url: string) {
    this.#url = url;
  }

  /** Returns a table with a column of each of the types. */
  async of(wanted: readonly string[]): Promise<SourceTable> {
    const key = wanted.join();
    const table = this.#made.get(key) ?? (await makeTable(this.#url, `types_${this.#made.size}`, wanted));
    this.#made.set(key, table);
    return table;
  }
}

async function makeTable(url: string, name: string, of: readonly string[]): Promise<SourceTable> {
  const columns = of.map((type) => `${columnOf(type)} ${type}`);
  const rows = Math.max(...of.map((type) => difficultValues[type]?.length ?? 0)) + 1;
  const inserts = Array.from({ length: rows }, (_, row) => {
    const values = of.map((type) => {
      const value = difficultValues[type]?.[row];
      return value === undefined ? 'NULL' : `(${value})::${type}`;
    });
    return `INSERT INTO ${name} VALUES (${row}, ${values.join(', ')})`;
  });
  await execute(url, `CREATE TABLE ${name} (id int, ${columns.join(', ')}); ${inserts.join(';')}`);
  const { tables } = await describeCase(url, name, [name]);
  return tables[0] ?? { name, columns: [] };
}

async function countValues(url: string): Promise<number> {
  const counts = types.map((type) => `count(${columnOf(type)})`);
  const [row] = await query<{ count: string }>(url, `SELECT ${counts.join(' + ')} AS count FROM types_0`);
  return Number(row?.count);
}

/** Tries all types at once; if that is refused, each half of them, down to single types. */
async function tryTypes(
  sourceUrl: string,
  subject: Subject,
  tables: Tables,
  of: readonly string[],
): Promise<Record<string, Kept>> {
  const table = await tables.of(of);
  if (await succeeds(subject, table)) {
    const results = of.map(
      async (type) => [type, await compare(sourceUrl, subject, table.name, columnOf(type))] as const,
    );
    return Object.fromEntries(await Promise.all(results));
  }
  const [first = ''] = of;
  if (of.length === 1) return { [first]: 'refused' };
  const middle = Math.ceil(of.length / 2);
  return {
    ...(await tryTypes(sourceUrl, subject, tables, of.slice(0, middle))),
    ...(await tryTypes(sourceUrl, subject, tables, of.slice(middle))),
  };
}

async function succeeds(subject: Subject, table: SourceTable): Promise<boolean> {
  const start = await subject.prepare([table]);
  try {
    await start().done;
    return true;
  } catch {
    return false;
  }
}

/** Settings that keep the text of a value independent of session, role and server. */
const SAME_TEXT = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
  SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'`;

/** Compares the values by row number, and the type of the column. */
async function compare(sourceUrl: string, subject: Subject, table: string, column: string): Promise<Kept> {
  try {
    const [source, target] = await Promise.all([
      describeColumn(sourceUrl, `public."${table}"`, column),
      describeColumn(subject.warehouseUrl, subject.target(table), column),
    ]);
    if (source.values !== target.values) return 'lost';
    return source.type === target.type ? 'exact' : 'text';
  } catch {
    return 'lost';
  }
}

async function describeColumn(
  url: string,
  table: string,
  column: string,
): Promise<{ values: string; type: string }> {
  const [row] = await query<{ values: string; type: string }>(
    `${url}?options=${encodeURIComponent(asOptions(SAME_TEXT))}`,
    `SELECT (SELECT string_agg(format('%s %L', id, ${column}), E'\\n' ORDER BY id) FROM ${table}) AS values,
            (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attname = '${column}') AS type`,
  );
  return row ?? { values: '', type: '' };
}

/** Turns `SET name = 'value'` into libpq's options. */
const asOptions = (settings: string): string =>
  settings
    .split(';')
    .map((setting) => /SET (\w+) = '?([^']*)'?/.exec(setting.trim()))
    .map((match) => `-c ${match?.[1] ?? ''}=${(match?.[2] ?? '').replaceAll(' ', '\\ ')}`)
    .join(' ');
