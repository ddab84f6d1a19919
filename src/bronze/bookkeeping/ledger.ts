import type { Copied, Span } from '../../contract/chunks.ts';
import type { Attempt } from '../../contract/attempt.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { Session } from '../../postgres/session.ts';
import type { Claim } from './attempts.ts';
import { BRONZE } from '../layout.ts';

export interface LedgerEntry extends Copied {
  readonly planId: string;
  readonly chunk: number;
  /** Number of consecutive chunks that were copied together; what they have counts with the first. */
  readonly count: number;
  readonly attempt: Attempt;
  /** The claim to the chunk's span; absent if plan and rows are written in one transaction. */
  readonly claim?: Claim | undefined;
  /** The moment of the snapshot that the chunk read, by the source's clock and its write-ahead log. */
  readonly moment: { readonly takenAt: string; readonly lsn?: string };
  /** The digests that the source computed, one per column sent; null if checksums are not verified. */
  readonly digests?: readonly string[] | null;
  /** Number of OIDs that refer to no large object. */
  readonly missingObjects?: number;
}

/** Returns what earlier attempts committed of these chunks, by chunk. */
export async function findChunks(
  session: Session,
  planId: string,
  { from, count }: Span,
): Promise<ReadonlyMap<number, Copied>> {
  const rows = await session.query<{ chunk: number; rows: string; bytes: string }>(
    `SELECT chunk, rows, bytes FROM ${BRONZE}.extraction_chunks
      WHERE plan_id = $1 AND chunk >= $2 AND chunk < $3`,
    [planId, from, from + count],
  );
  return new Map(
    rows.map(({ chunk, rows: copied, bytes }) => [chunk, { rows: Number(copied), bytes: Number(bytes) }]),
  );
}

/**
 * Marks chunks as done, in the transaction that loaded them.
 *
 * Two fences: only the latest attempt at a span may mark it, even if an earlier one wakes up after sleeping through
 * its timeout; and if several copy the same chunk, the primary key lets only one commit.
 *
 * @throws {DatakitError} SerializationFailure if another attempt does or did; the next attempt finds its mark
 */
export async function markChunks(session: Session, { claim, ...entry }: LedgerEntry): Promise<void> {
  const marked = await session.query(
    `INSERT INTO ${BRONZE}.extraction_chunks
       (plan_id, chunk, rows, bytes, attempt, snapshot_at, digests, missing_objects, snapshot_lsn)
     SELECT $1, chunk, CASE chunk WHEN $2 THEN $3::bigint ELSE 0 END, CASE chunk WHEN $2 THEN $4::bigint ELSE 0 END, $5, $6, $7, $8, $9
       FROM generate_series($2::int, $2 + $10 - 1) AS chunk
      WHERE $11::int IS NULL
         OR EXISTS (SELECT FROM ${BRONZE}.extraction_attempts a
                     WHERE (a.plan_id, a.first_chunk, a.scheduled_at, a.attempt) = ($1::bigint, $11, $12, $13))
     ON CONFLICT DO NOTHING RETURNING chunk`,
    [
      entry.planId,
      entry.chunk,
      entry.rows,
      entry.bytes,
      entry.attempt.number,
      entry.moment.takenAt,
      entry.digests ?? null,
      entry.missingObjects ?? 0,
      entry.moment.lsn ?? null,
      entry.count,
      claim?.firstChunk ?? null,
      claim?.attempt.attemptedAt ?? null,
      claim?.attempt.number ?? null,
    ],
  );
  if (marked.length === entry.count) return;
  throw new DatakitError(
    'SerializationFailure',
    `Chunk ${entry.chunk} was already copied by another attempt`,
  );
}

/** Marks chunks of plans made in the same transaction, which nobody else can have copied. */
export async function markOwnChunks(
  session: Session,
  entries: readonly Pick<LedgerEntry, 'planId' | 'chunk' | 'rows' | 'bytes' | 'attempt' | 'moment'>[],
): Promise<void> {
  const marks = entries.map(({ planId, chunk, rows, bytes, attempt, moment }) => ({
    plan_id: planId,
    chunk,
    rows,
    bytes,
    attempt: attempt.number,
    snapshot_at: moment.takenAt,
    snapshot_lsn: moment.lsn,
  }));
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_chunks (plan_id, chunk, rows, bytes, attempt, snapshot_at, snapshot_lsn)
     SELECT plan_id, chunk, rows, bytes, attempt, snapshot_at, snapshot_lsn
       FROM jsonb_populate_recordset(NULL::${BRONZE}.extraction_chunks, $1)`,
    [JSON.stringify(marks)],
  );
}

/**
 * Returns SQL for whether rows of a plan were read as of a moment before a position in the log of the source, and so may
 * lack what was seen there: as when its name leads to several servers, or a standby that lags took over. False if the
 * moment is not known.
 *
 * @param planId as SQL, as is `position`, which may be NULL
 */
export const lagsBehind = (planId: string, position: string): string =>
  `(SELECT coalesce(min(snapshot_lsn) < ${position}, false) FROM ${BRONZE}.extraction_chunks WHERE plan_id = ${planId})`;

export interface LedgerTotals {
  readonly rows: number;
  readonly bytes: number;
  readonly snapshotAt: string | null;
  readonly snapshotLsn: string | null;
  /** Number of OIDs that referred to no large object. */
  readonly missingObjects: number;
}

/** @param rowChunks number of chunks that carry rows; the others carry keys, which are not rows of the run */
export async function sumLedger(session: Session, planId: string, rowChunks: number): Promise<LedgerTotals> {
  const row = await session.one<{
    rows: string;
    bytes: string;
    snapshot_at: string | null;
    snapshot_lsn: string | null;
    missing: string;
  }>(
    `SELECT coalesce(sum(rows) FILTER (WHERE chunk < $2), 0) AS rows, coalesce(sum(bytes), 0) AS bytes,
            min(snapshot_at)::text AS snapshot_at, min(snapshot_lsn)::text AS snapshot_lsn, coalesce(sum(missing_objects), 0) AS missing
       FROM ${BRONZE}.extraction_chunks WHERE plan_id = $1`,
    [planId, rowChunks],
  );
  return {
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    snapshotAt: row.snapshot_at,
    snapshotLsn: row.snapshot_lsn,
    missingObjects: Number(row.missing),
  };
}

/** The most missing chunks reported at once: payloads are limited, and the next call reports the rest. */
const MISSING_AT_ONCE = 1000;

export async function missingChunks(session: Session, planId: string, chunks: number): Promise<number[]> {
  const rows = await session.query<{ chunk: number }>(
    `SELECT chunk FROM generate_series(0, $2::int - 1) AS chunk
      WHERE NOT EXISTS (SELECT FROM ${BRONZE}.extraction_chunks c WHERE c.plan_id = $1 AND c.chunk = chunk.chunk)
      ORDER BY chunk LIMIT ${MISSING_AT_ONCE}`,
    [planId, chunks],
  );
  return rows.map(({ chunk }) => chunk);
}
