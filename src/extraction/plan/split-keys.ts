import type { TableName } from '../../contract/table-name.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { keyExpression } from './key-range.ts';

/** How the space between the least and the greatest key is divided. */
export type KeyKind = 'integer' | 'uuid' | 'date' | 'timestamp' | 'text';

export interface Split {
  readonly partition: TableName;
  readonly column: string;
  readonly type: string;
  readonly kind: KeyKind;
  /** True if NULL may come first in descending order although the query excludes it. */
  readonly doubtful: boolean;
  readonly ranges: number;
  /** An estimate. */
  readonly rows: number;
}

/** Returns distinct, ascending boundaries between the ranges; fewer if there are not enough keys. */
export async function splitKeys(session: Session, split: Split): Promise<string[]> {
  if (split.ranges < 2) return [];
  const found = split.kind === 'text' ? await sampled(session, split) : await between(session, split);
  return [...new Set(found)];
}

async function between(session: Session, split: Split): Promise<string[]> {
  const ends = await findEnds(session, split);
  if (ends === undefined) return [];
  switch (split.kind) {
    case 'integer':
      return divided(BigInt(ends.least), BigInt(ends.greatest), split.ranges).map(String);
    case 'uuid':
      return divided(uuidToNumber(ends.least), uuidToNumber(ends.greatest), split.ranges).map(numberToUuid);
    case 'date':
      return ask(session, split, ends, `$1::date + (($2::date - $1::date)::bigint * i / $3)::integer`);
    case 'timestamp': {
      // in seconds, since an interval cannot span PostgreSQL's whole calendar
      const [from, to] = ['$1', '$2'].map((end) => `extract(epoch FROM ${end}::${split.type})::float8`);
      return ask(session, split, ends, `to_timestamp(${from} + (${to} - ${from}) * i / $3)::${split.type}`);
    }
    case 'text':
      throw new Error('the space between two texts has no middle');
  }
}

interface Ends {
  readonly least: string;
  readonly greatest: string;
}

/** Uses ORDER BY and LIMIT, which an index answers at once; min() and max() of uuid came with PostgreSQL 18. */
async function findEnds(session: Session, split: Split): Promise<Ends | undefined> {
  const key = keyExpression(split);
  const finite =
    split.kind === 'date' || split.kind === 'timestamp' ? ` AND pg_catalog.isfinite(${key})` : '';
  const end = (direction: 'ASC' | 'DESC') =>
    `(SELECT ${key}::text FROM ONLY ${quoteTable(split.partition)} WHERE ${key} IS NOT NULL${finite} ORDER BY ${key} ${direction}${split.doubtful ? ' NULLS LAST' : ''} LIMIT 1)`;
  const row = await session.withRolePath(async () =>
    session.one<{ least: string | null; greatest: string | null }>(
      `SELECT ${end('ASC')} AS least, ${end('DESC')} AS greatest`,
    ),
  );
  return row.least === null || row.greatest === null
    ? undefined
    : { least: row.least, greatest: row.greatest };
}

/** Has the server divide dates and times, since it knows its calendar. */
async function ask(
  session: Session,
  { ranges }: Split,
  { least, greatest }: Ends,
  boundary: string,
): Promise<string[]> {
  const rows = await session.query<{ boundary: string }>(
    `SELECT (${boundary})::text AS boundary FROM generate_series(1, $3::integer - 1) AS i ORDER BY i`,
    [least, greatest, ranges],
  );
  return rows.map((row) => row.boundary);
}

function divided(least: bigint, greatest: bigint, ranges: number): bigint[] {
  const parts = BigInt(ranges);
  return Array.from(
    { length: ranges - 1 },
    (_, index) => least + ((greatest - least) * BigInt(index + 1)) / parts,
  );
}

const uuidToNumber = (uuid: string): bigint => BigInt(`0x${uuid.replaceAll('-', '')}`);

const numberToUuid = (number: bigint): string =>
  number
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

/** Text has no arithmetic, so keys are sampled: boundaries need only be the same for all chunks. */
const SAMPLE = 30_000;
/** Characters. A boundary need not be a key, so the beginning of a long one will do. */
const LONGEST_BOUNDARY = 64;

async function sampled(session: Session, split: Split): Promise<string[]> {
  const key = keyExpression(split);
  const fractions = Array.from({ length: split.ranges - 1 }, (_, index) => (index + 1) / split.ranges);
  const share = Math.min(1, SAMPLE / Math.max(1, split.rows));
  const { boundaries } = await session.withRolePath(async () =>
    session.one<{ boundaries: string[] }>(
      `SELECT ARRAY(SELECT pg_catalog.left(boundary, ${LONGEST_BOUNDARY})
                      FROM pg_catalog.unnest(found) WITH ORDINALITY AS u(boundary, n) ORDER BY n) AS boundaries
         FROM (SELECT pg_catalog.percentile_disc($1::float8[]) WITHIN GROUP (ORDER BY ${key}) AS found
                 FROM ONLY ${quoteTable(split.partition)} WHERE ${key} IS NOT NULL AND pg_catalog.random() < $2) AS sample`,
      [fractions, share],
    ),
  );
  return boundaries;
}
