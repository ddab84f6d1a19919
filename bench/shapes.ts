import { describeCase } from './cases.ts';
import { execute } from './execute.ts';
import type { Case } from './in-turn.ts';

/** Those that come near: what is slow on one shape is so on the others. */
const QUICK = ['psql | psql, binary', 'pgcopydb', 'ADBC', 'DuckDB'];

interface Shape {
  readonly name: string;
  /** Who copies it beside this project, by the beginnings of their names; those that are quick where it is left out. */
  readonly peers?: readonly string[];
  /** Its tables, made of about as many bytes as the table of the benchmarks has with so many rows, or less. */
  readonly make: (rows: number) => {
    readonly statements: readonly string[];
    readonly tables: readonly string[];
  };
}

const series = (rows: number): string => `generate_series(1, ${Math.max(1, Math.round(rows))}) i`;
const repeat = (count: number, make: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => make(index + 1));

export const shapes: readonly Shape[] = [
  {
    name: 'narrow: 4 integers',
    make: (rows) => ({
      tables: ['narrow'],
      statements: [
        `CREATE TABLE narrow AS SELECT i AS id, i % 1000 AS customer, i % 7 AS kind, i % 12345 AS amount FROM ${series(rows * 2)}`,
      ],
    }),
  },
  {
    name: 'wide: 100 columns',
    make: (rows) => {
      const columns = repeat(25, (n) =>
        [
          `i + ${n} AS number_${n}`,
          `'text ' || i % ${n * 10} AS text_${n}`,
          `(i % 10000 / 100.0)::numeric(12, 2) AS amount_${n}`,
          `timestamptz '2024-01-01' + i * interval '${n} seconds' AS at_${n}`,
        ].join(', '),
      );
      return {
        tables: ['wide'],
        statements: [`CREATE TABLE wide AS SELECT ${columns.join(', ')} FROM ${series(rows / 8)}`],
      };
    },
  },
  {
    name: 'wide text',
    make: (rows) => {
      const columns = repeat(10, (n) => `repeat(md5((i + ${n})::text), 5) AS text_${n}`);
      return {
        tables: ['wide_text'],
        statements: [
          `CREATE TABLE wide_text AS SELECT i AS id, ${columns.join(', ')} FROM ${series(rows / 8)}`,
        ],
      };
    },
  },
  {
    name: 'mostly jsonb',
    make: (rows) => ({
      tables: ['documents'],
      statements: [
        `CREATE TABLE documents AS SELECT i AS id, jsonb_build_object('id', i, 'tags', jsonb_build_array('a', i % 9, NULL),
           'customer', jsonb_build_object('name', 'customer ' || i % 1000, 'address', md5(i::text), 'scores', jsonb_build_array(i, i * 1.5, -i)),
           'lines', (SELECT jsonb_agg(jsonb_build_object('n', n, 'sku', md5((i + n)::text), 'price', n * 1.25)) FROM generate_series(1, 5) n)) AS document
         FROM ${series(rows / 4)}`,
      ],
    }),
  },
  {
    name: 'large values (TOAST)',
    make: (rows) => ({
      tables: ['large_values'],
      statements: [
        `CREATE TABLE large_values (id int, body text, bytes bytea)`,
        `INSERT INTO large_values SELECT i, (SELECT string_agg(md5((i * 1000 + n)::text), '') FROM generate_series(1, 1000) n),
           decode((SELECT string_agg(md5((i * 7000 + n)::text), '') FROM generate_series(1, 1000) n), 'hex') FROM ${series(rows / 200)}`,
      ],
    }),
  },
  {
    name: 'one small table: 10,000 rows',
    make: (rows) => ({
      tables: ['small'],
      statements: [
        `CREATE TABLE small AS SELECT i AS id, md5(i::text) AS name, i * 1.25 AS amount FROM ${series(Math.min(rows, 10_000))}`,
      ],
    }),
  },
  {
    name: '100 partitions',
    // pgcopydb copies partitions to partitions, which are not in the target
    peers: QUICK.filter((name) => name !== 'pgcopydb'),
    make: (rows) => {
      const part = Math.ceil(rows / 100);
      return {
        tables: ['parted'],
        statements: [
          'CREATE TABLE parted (id bigint NOT NULL, at timestamptz, note text, amount numeric(12, 2)) PARTITION BY RANGE (id)',
          ...repeat(
            100,
            (n) =>
              `CREATE TABLE parted_${n} PARTITION OF parted FOR VALUES FROM (${(n - 1) * part}) TO (${n * part})`,
          ),
          `INSERT INTO parted SELECT i - 1, timestamptz '2024-01-01' + i * interval '1 second', md5(i::text) || md5((-i)::text), i * 1.25
             FROM ${series(rows)}`,
        ],
      };
    },
  },
  {
    name: '500 small tables',
    peers: [...QUICK, 'pgloader', 'sling', 'dlt'],
    make: (rows) => {
      const each = Math.max(1, Math.round(rows / 1000));
      return {
        tables: repeat(500, (n) => `small_${n}`),
        statements: repeat(
          500,
          (
            n,
          ) => `CREATE TABLE small_${n} AS SELECT i AS id, md5(i::text) AS name, i * 1.25 AS amount, now() AS at, '{"a": 1}'::jsonb AS note
                    FROM ${series(each)}`,
        ),
      };
    },
  },
];

/** Makes the tables of a shape in the schema `public`. */
export async function shapeCase(url: string, { name, make }: Shape, rows: number): Promise<Case> {
  const { statements, tables } = make(rows);
  for (const statement of statements) await execute(url, statement);
  await execute(url, 'VACUUM (ANALYZE)');
  return describeCase(url, name, tables);
}

/** All peers of any shape. */
export const shapePeers: readonly string[] = [
  ...new Set([...QUICK, ...shapes.flatMap(({ peers }) => peers ?? [])]),
];

/** Whether a peer, or this project, is to copy a shape. */
export const copies = ({ peers = QUICK }: Shape, name: string): boolean =>
  ['datakit-postgres', ...peers].some((beginning) => name.startsWith(beginning));
