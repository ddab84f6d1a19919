import { setTimeout as sleep } from 'node:timers/promises';
import { companionStaging } from '../../bronze/schema/companion.ts';
import type { ExtractionPlan, LargeObjectPlan } from '../../bronze/plan.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { pipeCopy, type OnBytes } from '../../postgres/copy/copy-pipe.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { ChunkRange } from '../plan/chunk-ranges.ts';
import { fromChunk } from './copy-statements.ts';
import { isLarger, objectExists } from './select-expression.ts';

export interface ChunkObjects {
  readonly source: Session;
  readonly target: Session;
  readonly plan: ExtractionPlan;
  readonly planId: string;
  readonly staging: TableName;
  readonly range: ChunkRange;
  /** Called with the bytes of large objects copied so far. */
  readonly onProgress: OnBytes;
}

/**
 * Copies the large objects of a chunk that are too large for a column, part by part, in its transactions.
 *
 * @throws {DatakitError} MissingLargeObject if one is missing and the plan does not allow it
 */
export async function copyLargeObjects(objects: ChunkObjects): Promise<{ bytes: number; missing: number }> {
  const { largeObjects } = objects.plan;
  if (largeObjects === undefined) return { bytes: 0, missing: 0 };
  const larger = new Set<number>();
  let missing = 0;
  for (const column of largeObjects.columns) {
    const found = await findObjects(objects, column, largeObjects);
    for (const oid of found.larger) larger.add(oid);
    missing += found.missing;
    if (found.missing > 0 && largeObjects.missing === 'refuse') throw refused(found.missing, column, objects);
  }
  if (larger.size === 0) return { bytes: 0, missing };
  let bytes = 0;
  const sizes = new Map<number, number>();
  for (const oid of await claim(objects, larger)) {
    const size = await sizeOf(objects.source, oid);
    sizes.set(oid, size);
    bytes += await copyParts(objects, { oid, size, partSize: largeObjects.partSize }, bytes);
  }
  await requireWhole(objects, sizes);
  return { bytes, missing };
}

async function findObjects(
  { source, plan, range }: ChunkObjects,
  column: string,
  { partSize }: LargeObjectPlan,
): Promise<{ larger: readonly number[]; missing: number }> {
  const state = `CASE WHEN NOT ${objectExists('wanted')} THEN 'missing' WHEN ${isLarger('wanted', partSize)} THEN 'larger' END`;
  const row = await source.one<{ larger: string[] | null; missing: string }>(
    `SELECT pg_catalog.array_agg(DISTINCT wanted::text) FILTER (WHERE state = 'larger') AS larger,
            pg_catalog.count(*) FILTER (WHERE state = 'missing') AS missing
       FROM (SELECT wanted, ${state} AS state
               FROM (SELECT ${quoteName(column)}::oid AS wanted ${fromChunk(plan, range)}) AS named
              WHERE wanted IS NOT NULL OFFSET 0) AS found`,
  );
  return { larger: (row.larger ?? []).map(Number), missing: Number(row.missing) };
}

function refused(missing: number, column: string, { range }: ChunkObjects): DatakitError {
  const where = formatTableName(range.partition);
  return new DatakitError(
    'MissingLargeObject',
    `OIDs in "${column}" of ${where} that name no large object: ${missing}`,
  );
}

/**
 * Returns the objects that no other chunk has copied; waits for one that is copying them. In a fixed order, so that two
 * chunks with the same objects do not deadlock. The companion has no index: it is read once for all.
 */
async function claim(
  { target, planId, staging, onProgress }: ChunkObjects,
  larger: ReadonlySet<number>,
): Promise<number[]> {
  const oids = [...larger].toSorted((a, b) => a - b);
  const claimed = target.query(
    `SELECT pg_advisory_xact_lock(hashtextextended(format('large object %s %s', $1::text, oid), 0))
       FROM unnest($2::oid[]) WITH ORDINALITY AS u(oid, n) ORDER BY n`,
    [planId, oids],
  );
  await tellingMeanwhile(claimed, onProgress);
  const copied = await target.query<{ oid: number }>(
    `SELECT DISTINCT oid FROM ${quoteTable(companionStaging(staging))} WHERE oid = ANY ($1::oid[])`,
    [oids],
  );
  const known = new Set(copied.map(({ oid }) => oid));
  return oids.filter((oid) => !known.has(oid));
}

/** Less than the shortest stall. */
const TOLD_EVERY_MS = 500;

/** A chunk that waits for another one to copy their objects has not stalled: whether that one has is watched there. */
async function tellingMeanwhile(claimed: Promise<unknown>, onProgress: OnBytes): Promise<void> {
  const done = claimed.then(() => true);
  while (!(await Promise.race([done, sleep(TOLD_EVERY_MS, false, { ref: false })]))) await onProgress(0);
}

interface LargeObject {
  readonly oid: number;
  readonly size: number;
  readonly partSize: number;
}

async function copyParts(
  { source, target, plan, staging, onProgress }: ChunkObjects,
  { oid, size, partSize }: LargeObject,
  before: number,
): Promise<number> {
  const parts = `SELECT ${oid}::oid AS oid, part, pg_catalog.lo_get(${oid}::oid, part::bigint * ${partSize}, ${partSize}) AS data
                   FROM pg_catalog.generate_series(0, ${Math.ceil(size / partSize) - 1}) AS part`;
  const companion = quoteTable(companionStaging(staging));
  const { bytes } = await pipeCopy({
    source: { session: source, statement: `COPY (${parts}) TO STDOUT (FORMAT binary)` },
    target: {
      session: target,
      statement: `COPY ${companion} (oid, part, data) FROM STDIN (FORMAT binary)`,
    },
    onProgress: (passed) => onProgress(before + passed),
  });
  const landed = `SELECT oid, part, data FROM ${companion} WHERE oid = ${oid}`;
  if (plan.hash !== undefined) await requireSameParts(source, parts, target, landed);
  return bytes;
}

/** @throws {DatakitError} CountMismatch if an object arrived with fewer bytes than it has, or more */
async function requireWhole(
  { target, staging }: ChunkObjects,
  sizes: ReadonlyMap<number, number>,
): Promise<void> {
  const arrived = await target.query<{ oid: number; size: string }>(
    `SELECT oid, sum(octet_length(data)) AS size FROM ${quoteTable(companionStaging(staging))}
      WHERE oid = ANY ($1::oid[]) GROUP BY oid`,
    [[...sizes.keys()]],
  );
  const landed = new Map(arrived.map(({ oid, size }) => [oid, Number(size)]));
  for (const [oid, size] of sizes) {
    if (landed.get(oid) === size) continue;
    throw new DatakitError(
      'CountMismatch',
      `A large object of ${size} bytes arrived with ${landed.get(oid) ?? 0}`,
    );
  }
}

/** Opens an object and seeks to its end, since PostgreSQL has no function for the size. */
async function sizeOf(source: Session, oid: number): Promise<number> {
  const { fd } = await source.one<{ fd: number }>('SELECT pg_catalog.lo_open($1, $2) AS fd', [oid, INV_READ]);
  const { size } = await source.one<{ size: string }>('SELECT pg_catalog.lo_lseek64($1, 0, $2) AS size', [
    fd,
    SEEK_END,
  ]);
  await source.query('SELECT pg_catalog.lo_close($1)', [fd]);
  return Number(size);
}

/** libpq-fs.h */
const INV_READ = 0x40000;
const SEEK_END = 2;

const partsDigest = (parts: string): string =>
  `SELECT pg_catalog.string_agg(pg_catalog.md5(data), ',' ORDER BY part) AS digest FROM (${parts}) AS parts`;

async function requireSameParts(
  source: Session,
  sent: string,
  target: Session,
  landed: string,
): Promise<void> {
  const read = await source.one<{ digest: string }>(partsDigest(sent));
  const written = await target.one<{ digest: string }>(partsDigest(landed));
  if (read.digest === written.digest) return;
  throw new DatakitError(
    'ChecksumMismatch',
    'A large object in the warehouse differs from the one in the source',
  );
}
