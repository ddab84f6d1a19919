import { describeCase } from './cases.ts';
import { execute } from './execute.ts';
import type { Case } from './in-turn.ts';
import type { Landed } from './landed-types.ts';
import { inPublic } from './peers/peer.ts';
import { partitioned, PARTITIONS } from './partitioned-table.ts';

/** Peers that come close; slower ones are slow on every shape. */
const QUICK = ['psql | psql, binary', 'pgcopydb', 'ADBC', 'DuckDB'];

const TABLES = 500;

interface Shape {
  readonly name: string;
  /** Name prefixes of the peers that copy it; the fast ones by default. */
  readonly peers?: readonly string[];
  /** Total rows for a requested number of rows. */
  readonly rows: (asked: number) => number;
  /** Creates its tables with the given number of rows. */
  readonly make: (rows: number) => {
    readonly statements: readonly string[];
    readonly tables: readonly string[];
  };
}

/**
 * Bytes of a shape in the source per million rows requested. With less, the fixed costs of a run would weigh as much
 * as the copy.
 */
const BYTES_OF_A_MILLION = 256 * 1024 ** 2;

/** Returns a function that scales rows to the bytes of a shape, from the measured size of a row. */
const ofRows =
  (bytesOfRow: number) =>
  (asked: number): number =>
    Math.max(1, Math.round(((asked / 1e6) * BYTES_OF_A_MILLION) / bytesOfRow));

/** For the partitioned table. */
export const ofPartitioned = ofRows(136);

const series = (rows: number): string => `generate_series(1, ${rows}) i`;
const repeat = (count: number, make: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => make(index + 1));

export const shapes: readonly Shape[] = [
  {
    name: 'narrow: 4 integers',
    rows: ofRows(44.3),
    make: (rows) => ({
      tables: ['narrow'],
      statements: [
        `CREATE TABLE narrow AS SELECT i AS id, i % 1000 AS customer, i % 7 AS kind, i % 12345 AS amount FROM ${series(rows)}`,
      ],
    }),
  },
  {
    name: 'wide: 100 columns',
    rows: ofRows(911),
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
        statements: [`CREATE TABLE wide AS SELECT ${columns.join(', ')} FROM ${series(rows)}`],
      };
    },
  },
  {
    name: 'wide text',
    rows: ofRows(2052),
    make: (rows) => {
      const columns = repeat(10, (n) => `repeat(md5((i + ${n})::text), 5) AS text_${n}`);
      return {
        tables: ['wide_text'],
        statements: [`CREATE TABLE wide_text AS SELECT i AS id, ${columns.join(', ')} FROM ${series(rows)}`],
      };
    },
  },
  {
    name: 'mostly jsonb',
    rows: ofRows(820),
    make: (rows) => ({
      tables: ['documents'],
      statements: [
        `CREATE TABLE documents AS SELECT i AS id, jsonb_build_object('id', i, 'tags', jsonb_build_array('a', i % 9, NULL),
           'customer', jsonb_build_object('name', 'customer ' || i % 1000, 'address', md5(i::text), 'scores', jsonb_build_array(i, i * 1.5, -i)),
           'lines', (SELECT jsonb_agg(jsonb_build_object('n', n, 'sku', md5((i + n)::text), 'price', n * 1.25)) FROM generate_series(1, 5) n)) AS document
         FROM ${series(rows)}`,
      ],
    }),
  },
  {
    name: 'large values (TOAST)',
    rows: ofRows(50_038),
    make: (rows) => ({
      tables: ['large_values'],
      statements: [
        `CREATE TABLE large_values (id int, body text, bytes bytea)`,
        `INSERT INTO large_values SELECT i, (SELECT string_agg(md5((i * 1000 + n)::text), '') FROM generate_series(1, 1000) n),
           decode((SELECT string_agg(md5((i * 7000 + n)::text), '') FROM generate_series(1, 1000) n), 'hex') FROM ${series(rows)}`,
      ],
    }),
  },
  {
    name: 'one small table: 10,000 rows',
    rows: (asked) => Math.min(asked, 10_000),
    make: (rows) => ({
      tables: ['small'],
      statements: [
        `CREATE TABLE small AS SELECT i AS id, md5(i::text) AS name, i * 1.25 AS amount FROM ${series(rows)}`,
      ],
    }),
  },
  {
    name: `${PARTITIONS} partitions`,
    // pgcopydb copies each partition to its counterpart, and the target has no partitions
    peers: QUICK.filter((name) => name !== 'pgcopydb'),
    rows: ofPartitioned,
    make: (rows) => ({ tables: ['parted'], statements: partitioned('parted', rows) }),
  },
  {
    name: `${TABLES} small tables`,
    peers: [...QUICK, 'pgloader', 'sling', 'dlt'],
    rows: (asked) => TABLES * Math.max(1, Math.round(asked / 1000)),
    make: (rows) => {
      const each = rows / TABLES;
      return {
        tables: repeat(TABLES, (n) => `small_${n}`),
        statements: repeat(
          TABLES,
          (
            n,
          ) => `CREATE TABLE small_${n} AS SELECT i AS id, md5(i::text) AS name, i * 1.25 AS amount, now() AS at, '{"a": 1}'::jsonb AS note
                    FROM ${series(each)}`,
        ),
      };
    },
  },
];

/** Creates the tables of a shape in the schema `public`. */
export async function shapeCase(url: string, shape: Shape, asked: number): Promise<Case> {
  const { name, rows, make } = shape;
  const { statements, tables } = make(rows(asked));
  for (const statement of statements) await execute(url, statement);
  await execute(url, 'VACUUM (ANALYZE)');
  return describeCase(url, name, tables);
}

/** Drops the tables in the source and wherever they landed, so that the disk need not hold all shapes at once. */
export async function dropCase(url: string, { tables }: Case, landed: readonly Landed[]): Promise<void> {
  for (const { name } of tables) {
    await execute(url, `DROP TABLE ${inPublic(name)}`);
    for (const each of landed) {
      await execute(each.warehouseUrl, `DROP TABLE IF EXISTS ${each.target(name)} CASCADE`);
    }
  }
}

/** The peers of all shapes. */
export const shapePeers: readonly string[] = [
  ...new Set([...QUICK, ...shapes.flatMap(({ peers }) => peers ?? [])]),
];

/** True if a peer, or this project, is meant to copy the shape. */
export const copies = ({ peers = QUICK }: Shape, name: string): boolean =>
  ['datakit-postgres', ...peers].some((beginning) => name.startsWith(beginning));
