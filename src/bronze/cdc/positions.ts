import type { CaptureReference } from '../../contract/capture-activities.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { RunIdentity } from '../../contract/run-identity.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';

/** A capture as the warehouse knows it. */
export interface Capture {
  /** A bigint, as text. */
  readonly captureId: string;
  readonly source: string;
  readonly slot: string;
  readonly publication: string;
  readonly ownPublication: boolean;
  readonly systemId: string;
  readonly timeline: number;
  readonly status: 'copying' | 'streaming' | 'dropped';
  /** Everything that commits before it is in the warehouse; null until the slot is created. */
  readonly position: string | null;
  readonly committedAt: string | null;
  /** Null if nothing has been written yet. */
  readonly last: LastChange | null;
  /** LSN of the latest snapshot that a table was copied from; null if there was none. */
  readonly copiedAt: string | null;
  readonly transactions: number;
  readonly changes: number;
  /** Incremented whenever its tables change. */
  readonly tablesVersion: number;
  /** The run of the workflow that continues it, or did last. */
  readonly runId: string;
  readonly workflowId: string;
  readonly warnings: readonly string[];
}

/** The last transaction in the change log, or the last message outside of one. */
export interface LastChange {
  readonly commitLsn: string;
  /** Null for a message outside of transactions. */
  readonly xid: string | null;
}

const CAPTURE = `SELECT capture_id AS "captureId", source, slot, publication, own_publication AS "ownPublication",
         system_id AS "systemId", timeline, status, position::text, transactions::float8, changes::float8, run_id AS "runId", workflow_id AS "workflowId", tables_version AS "tablesVersion",
         CASE WHEN last_commit_lsn IS NOT NULL THEN json_build_object('commitLsn', last_commit_lsn, 'xid', last_xid::text) END AS last,
         (SELECT max(copied_at)::text FROM ${BRONZE}.cdc_tables AS t WHERE t.capture_id = p.capture_id) AS "copiedAt",
         warnings, to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "committedAt"
    FROM ${BRONZE}.cdc_positions AS p`;

/** Finds the capture of a slot, unless it was dropped. */
export async function findCapture(
  session: Session,
  source: string,
  slot: string,
): Promise<Capture | undefined> {
  const [capture] = await session.query<Capture & Record<string, unknown>>(
    `${CAPTURE} WHERE source = $1 AND slot = $2 AND status <> 'dropped'`,
    [source, slot],
  );
  return capture;
}

/** Returns whether a capture of a slot is on record that was dropped. */
export async function wasDropped(
  session: Session,
  { source, slot }: Pick<Capture, 'source' | 'slot'>,
): Promise<boolean> {
  const found = await session.query(
    `SELECT FROM ${BRONZE}.cdc_positions WHERE source = $1 AND slot = $2 AND status = 'dropped' LIMIT 1`,
    [source, slot],
  );
  return found.length > 0;
}

/** Finds the captures of a source that use other slots. */
export async function findCapturesBeside(
  session: Session,
  { source, slot }: Pick<Capture, 'source' | 'slot'>,
): Promise<Pick<Capture, 'captureId' | 'slot' | 'publication'>[]> {
  return session.query<Capture & Record<string, unknown>>(
    `SELECT capture_id AS "captureId", slot, publication FROM ${BRONZE}.cdc_positions
      WHERE source = $1 AND slot <> $2 AND status <> 'dropped' ORDER BY slot`,
    [source, slot],
  );
}

/** @throws {DatakitError} SlotLost if it is gone, or its number is that of another by now */
export async function readCapture(
  session: Session,
  { captureId, source, slotName }: CaptureReference,
): Promise<Capture> {
  const [capture] = await session.query<Capture & Record<string, unknown>>(
    `${CAPTURE} WHERE capture_id = $1 AND status <> 'dropped' AND source = coalesce($2, source) AND slot = coalesce($3, slot)`,
    [captureId, source, slotName],
  );
  if (capture !== undefined) return capture;
  const ofSlot = slotName === undefined ? '' : ` of slot "${slotName}"`;
  throw new DatakitError(
    'SlotLost',
    `Capture ${captureId}${ofSlot} was dropped, or the warehouse was restored or failed over and lacks it`,
  );
}

export type NewCapture = Pick<
  Capture,
  'source' | 'slot' | 'publication' | 'ownPublication' | 'systemId' | 'timeline' | 'warnings'
>;

/** Records that a slot is about to be created, so that it is known as ours whatever happens next. */
export async function openCapture(session: Session, capture: NewCapture, run: RunIdentity): Promise<string> {
  const { id } = await session.one<{ id: string }>(
    `INSERT INTO ${BRONZE}.cdc_positions
       (source, slot, publication, own_publication, system_id, timeline, warnings, status, run_id, workflow_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'copying', $8, $9) RETURNING capture_id AS id`,
    [
      capture.source,
      capture.slot,
      capture.publication,
      capture.ownPublication,
      capture.systemId,
      capture.timeline,
      JSON.stringify(capture.warnings),
      run.runId,
      run.workflowId,
    ],
  );
  return id;
}

/** Records where a new slot begins: everything before that is in its snapshot. */
export async function recordSlot(session: Session, captureId: string, position: string): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions SET position = $2, updated_at = now() WHERE capture_id = $1`,
    [captureId, position],
  );
}

export async function recordStreaming(session: Session, captureId: string): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions SET status = 'streaming', updated_at = now() WHERE capture_id = $1`,
    [captureId],
  );
}

/** Records the workflow that continues a capture. */
export async function takeOver(
  session: Session,
  { captureId }: Pick<Capture, 'captureId'>,
  run: RunIdentity,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions SET run_id = $2, workflow_id = $3, updated_at = now() WHERE capture_id = $1`,
    [captureId, run.runId, run.workflowId],
  );
}

const overtaken = (): DatakitError =>
  new DatakitError('SerializationFailure', 'Another stream of this slot has advanced the position');

/**
 * Moves a capture to the timeline of a standby that took the place of the source and has all that was written.
 *
 * @param left where it left the previous timeline; a position past that, without a change, goes back there
 * @returns the new position
 * @throws {DatakitError} SerializationFailure if another stream has moved it
 */
export async function changeTimeline(
  session: Session,
  { captureId, position }: Pick<Capture, 'captureId' | 'position'>,
  { timeline, left }: { readonly timeline: number; readonly left: string },
): Promise<string> {
  const [moved] = await session.query<{ position: string }>(
    `UPDATE ${BRONZE}.cdc_positions SET timeline = $3, position = least(position, $4::pg_lsn), updated_at = now()
      WHERE capture_id = $1 AND position = $2::pg_lsn RETURNING position::text`,
    [captureId, position, timeline, left],
  );
  if (moved !== undefined) return moved.position;
  throw overtaken();
}

/**
 * Locks the position of a capture until the end of the transaction.
 *
 * A fence: of two streams of a slot, one of which slept, only the one that knows the position writes.
 *
 * @returns the current version of its tables
 * @throws {DatakitError} SerializationFailure if another stream has moved it
 */
export async function lockPosition(session: Session, captureId: string, expected: string): Promise<number> {
  const [found] = await session.query<{ version: number }>(
    `SELECT tables_version AS version FROM ${BRONZE}.cdc_positions
      WHERE capture_id = $1 AND position = $2::pg_lsn AND status = 'streaming' FOR UPDATE`,
    [captureId, expected],
  );
  if (found !== undefined) return found.version;
  throw overtaken();
}

/** Locks a capture, so that no stream writes, and signals its streams that its tables have changed. */
export async function changeTablesOf(session: Session, captureId: string): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions SET tables_version = tables_version + 1, updated_at = now() WHERE capture_id = $1`,
    [captureId],
  );
}

/** A capture that is prepared reports them to its workflow, in a payload that is limited in size. */
const MOST_WARNINGS = 100;

/** Stores warnings for readers with the capture: each once, the latest last. */
export async function addWarnings(
  session: Session,
  captureId: string,
  warnings: readonly string[],
): Promise<void> {
  if (warnings.length === 0) return;
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions
        SET warnings = (SELECT jsonb_agg(warning ORDER BY place)
                          FROM (SELECT warning, max(place) AS place
                                  FROM jsonb_array_elements(warnings || $2::jsonb) WITH ORDINALITY AS w(warning, place)
                                 GROUP BY warning ORDER BY place DESC LIMIT ${MOST_WARNINGS}) AS latest)
      WHERE capture_id = $1`,
    [captureId, JSON.stringify(warnings)],
  );
}

export interface Advance {
  readonly position: string;
  /** ISO 8601; null if no transaction was written. */
  readonly committedAt: string | null;
  /** Null if nothing was written. */
  readonly last: LastChange | null;
  readonly transactions: number;
  readonly changes: number;
}

/** Advances the position, in the transaction that writes the changes before it. */
export async function advance(session: Session, captureId: string, to: Advance): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions
        SET position = $2, committed_at = coalesce($3, committed_at), transactions = transactions + $4,
            changes = changes + $5, last_commit_lsn = coalesce($6::pg_lsn, last_commit_lsn),
            last_xid = CASE WHEN $6::pg_lsn IS NULL THEN last_xid ELSE $7 END, updated_at = now()
      WHERE capture_id = $1`,
    [
      captureId,
      to.position,
      to.committedAt,
      to.transactions,
      to.changes,
      to.last?.commitLsn ?? null,
      to.last?.xid ?? null,
    ],
  );
}

/** Marks a capture as dropped. Its record stays, since its changes are still there. */
export async function closeCapture(session: Session, captureId: string): Promise<void> {
  await session.query(`DELETE FROM ${BRONZE}.cdc_tables WHERE capture_id = $1`, [captureId]);
  await session.query(
    `UPDATE ${BRONZE}.cdc_positions SET status = 'dropped', updated_at = now() WHERE capture_id = $1`,
    [captureId],
  );
}

/** Deletes all records of a capture whose first copy never completed. */
export async function forgetCapture(session: Session, captureId: string): Promise<void> {
  await session.query(`DELETE FROM ${BRONZE}.cdc_tables WHERE capture_id = $1`, [captureId]);
  await session.query(`DELETE FROM ${BRONZE}.cdc_changes WHERE capture_id = $1`, [captureId]);
  await session.query(`DELETE FROM ${BRONZE}.cdc_positions WHERE capture_id = $1`, [captureId]);
}
