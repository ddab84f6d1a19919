import { type Client, escapeIdentifier } from 'pg';

/** Texts, each of which is a valid value of some type. */
const CANDIDATES = [
  '', '0', '1', '-1.5', '{}', '{1,2}', '[]', '{"a":1}', 'empty', '[1,2)', '{[1,2),[5,6)}', '[2024-01-01,2024-02-01)', '{[2024-01-01,2024-02-01)}',
  'a', 'true', '2024-02-29', '12:34:56.789', '12:34:56+05:30', '2024-02-29 12:34:56.789+00', '1 mon 2 days', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
  '10.0.0.1', '10.0.0.0/8', 'e7ef4c0a-8ae0-44d6-8e5f-fd0b6b2a3c11', '101', '(1,2)', '(1,2),(0,0)', '{1,-1,0}', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>',
  '\\x00ff', 'fat & cat', '$.a', '<a/>', '0/16B3748', '10:20:10,14,15', '(0,1)', '1 2 3', 'pg_class', 'lower(text)', '+(integer,integer)', 'now', 'english', 'simple',
  'integer', 'postgres', '"C"', 'postgres=r/postgres', '12.34', 'a=>1', 'Top.Science', '1-4028-9462-7', '978-0-393-04002-9',
]; // prettier-ignore

export interface EveryType {
  /** The types by column, as `format_type` writes them. */
  readonly types: Readonly<Record<string, string>>;
  /** Number of inserted values. */
  readonly values: number;
}

/**
 * Creates a table with a column of every type in its database that a column can have, and inserts
 * candidates that the type accepts, alone and in an array, and NULL.
 */
export async function makeTableOfEveryType(client: Client, table: string): Promise<EveryType> {
  const { rows } = await client.query<{ type: string }>(
    `SELECT format_type(t.oid, NULL) AS type FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
       LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE t.typtype <> 'p' AND t.typisdefined AND n.nspname <> 'pg_toast'
        AND (c.oid IS NULL OR c.relkind IN ('c', 'r')) AND t.typname NOT LIKE '\\_pg\\_%'
        AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_type p ON p.oid = a.atttypid AND (p.typtype = 'p' OR p.typname = '_pg_statistic')
                         WHERE a.attrelid = c.oid)
        AND (t.typelem = 0 OR NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typtype IN ('p', 'c') AND e.oid < 16384))
      ORDER BY t.oid`,
  );
  const names = rows.map((_, index) => `column_${index}`);
  const columns = rows.map(({ type }, index) => `${names[index]} ${quoted(type)}`);
  await client.query(`CREATE TABLE ${table} (id bigint GENERATED ALWAYS AS IDENTITY, ${columns.join(', ')})`);
  await client.query(FILL);
  const filled = await client.query<{ values: string }>('SELECT pg_temp.fill($1, $2, $3) AS values', [
    table,
    names,
    CANDIDATES,
  ]);
  return {
    types: Object.fromEntries(rows.map(({ type }, index) => [names[index] ?? '', type])),
    values: Number(filled.rows[0]?.values),
  };
}

/** Quotes a type; `bit` and `character`, as `format_type` writes them, would mean a length of 1 in a column. */
const quoted = (type: string): string =>
  ['bit', 'character'].includes(type)
    ? `pg_catalog.${escapeIdentifier(type === 'bit' ? 'bit' : 'bpchar')}`
    : type;

/** One row per value, so that a value refused by one type does not affect another; at most 12 values per type. */
const FILL = `CREATE OR REPLACE FUNCTION pg_temp.fill(target text, columns text[], candidates text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE name text; candidate text; taken int; filled bigint := 0;
BEGIN
  candidates := candidates || ARRAY(SELECT format('{%s' || d || 'NULL}', to_json(c)) FROM unnest(candidates) c, unnest('{",",;}'::text[]) d);
  FOREACH name IN ARRAY columns LOOP
    taken := 0;
    FOREACH candidate IN ARRAY candidates LOOP
      EXIT WHEN taken = 12;
      BEGIN
        EXECUTE format('INSERT INTO %s (%I) VALUES (%L)', target, name, candidate);
        taken := taken + 1;
      EXCEPTION WHEN OTHERS THEN NULL;
      END;
    END LOOP;
    filled := filled + taken;
  END LOOP;
  EXECUTE format('INSERT INTO %s DEFAULT VALUES', target);
  RETURN filled;
END $$`;
