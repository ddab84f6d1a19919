import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';
import { isSent, type DigestHash, type PlannedColumn } from '../plan.ts';
import type { StoredPlan } from '../bookkeeping/plans.ts';

/** Shows whether servers hash the same text alike: that depends on their encoding and byte order. */
const PROBE = `SELECT hashtextextended(${quoteText('datakit é表🙂')} COLLATE "C", 0)::text AS hash`;

/** Chooses the fast hash if both servers return the same for the same text, else a hash of its UTF-8 bytes. */
export async function chooseHash(source: Session, warehouse: Session): Promise<DigestHash> {
  const encodings = [await readEncoding(source), await readEncoding(warehouse)];
  // another encoding may not even have the characters of the probe
  if (encodings.some((encoding) => encoding !== 'UTF8')) return 'md5';
  const [read, written] = [await source.one<Hash>(PROBE), await warehouse.one<Hash>(PROBE)];
  return read.hash === written.hash ? 'hashtext' : 'md5';
}

type Hash = { hash: string };

async function readEncoding(session: Session): Promise<string> {
  const { encoding } = await session.one<{ encoding: string }>(
    `SELECT current_setting('server_encoding') AS encoding`,
  );
  return encoding;
}

/**
 * Returns SQL for an array with one number per column: the sum of its values' hashes, whatever their order.
 *
 * @param expressions one per column, in column order: what the source sends, or the column where it landed
 */
export function digestsExpression(
  columns: readonly PlannedColumn[],
  expressions: readonly string[],
  hash: DigestHash,
): string {
  const sums = columns.map(({ type }, index) => {
    const text = digestText(expressions[index] ?? '', type);
    const digest = hash === 'md5' && SORTED_BY_BYTES.test(type) ? digestOfWords(text) : hashOf(text, hash);
    return `coalesce(pg_catalog.sum(coalesce(${digest}, ${HASH_OF_NULL})), 0)`;
  });
  return `ARRAY[${sums.join(', ')}]::numeric[]`;
}

/** Any number that no hash is likely to be: if NULLs were skipped, a lost one would not show. */
const HASH_OF_NULL = '5577006791947779410';

/** Returns SQL for the text of a value, the same on every server under the settings of our sessions. */
function digestText(value: string, type: string): string {
  switch (type) {
    case 'bytea':
      return `pg_catalog.md5(${value})`; // its text would be twice as long
    case '"char"':
      return `(${value})::integer::text`; // text cannot hold every byte
    case 'xml':
      return `pg_catalog.textin(pg_catalog.xml_out(${value}))`; // a cast keeps a declaration that output drops
    default:
      return `(${value})::text`;
  }
}

/** Types whose values are stored, and written, in the order of the bytes of keys or words: each encoding has its own. */
const SORTED_BY_BYTES = /^(?:jsonb|tsvector|(?:.+\.)?hstore)(?:\[\])?$/;

/** Returns SQL for the sum of the hashes of what blanks, commas and brackets separate, in whatever order. */
function digestOfWords(text: string): string {
  const words = `pg_catalog.string_to_array(pg_catalog.translate(${text} || ' ', '{}[],', '     '), ' ')`;
  return `(SELECT pg_catalog.sum(${hashOf('word', 'md5')}) FROM pg_catalog.unnest(${words}) AS word)`;
}

function hashOf(text: string, hash: DigestHash): string {
  return hash === 'hashtext'
    ? `pg_catalog.hashtextextended(${text} COLLATE "C", 0)`
    : `('x'::text || pg_catalog.substr(pg_catalog.md5(pg_catalog.convert_to(${text}, 'UTF8')), 1, 16))::bit(64)::bigint`;
}

/**
 * Compares what the source read with what the staging table has, column by column. If there are no chunks, because a
 * table has no partitions, the source has read nothing, whose sum is 0.
 *
 * @throws {DatakitError} ChecksumMismatch, naming the columns
 */
export async function requireSameDigests(
  session: Session,
  { planId, staging, plan }: StoredPlan,
): Promise<void> {
  const { hash } = plan;
  if (hash === undefined) return;
  const columns = plan.columns.filter(isSent);
  const landed = digestsExpression(
    columns,
    columns.map(({ name }) => quoteName(name)),
    hash,
  );
  const different = await session.query<{ column: number }>(
    `WITH source AS (
       SELECT u.n, sum(u.digest) AS digest FROM ${BRONZE}.extraction_chunks c
         CROSS JOIN LATERAL unnest(c.digests) WITH ORDINALITY AS u(digest, n) WHERE c.plan_id = $1 GROUP BY u.n
     ), warehouse AS (
       SELECT u.n, u.digest FROM (SELECT ${landed} AS digests FROM ${quoteTable(staging)}) AS t
         CROSS JOIN LATERAL unnest(t.digests) WITH ORDINALITY AS u(digest, n)
     )
     SELECT n::int AS column FROM warehouse FULL JOIN source USING (n)
      WHERE coalesce(source.digest, 0) IS DISTINCT FROM warehouse.digest ORDER BY n`,
    [planId],
  );
  if (different.length === 0) return;
  const names = different.map(({ column }) => `"${columns[column - 1]?.name ?? '?'}"`);
  throw new DatakitError(
    'ChecksumMismatch',
    `The checksums of source and warehouse differ in ${listed(names, 10)}`,
  );
}
