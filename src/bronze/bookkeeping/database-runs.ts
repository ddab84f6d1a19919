import type { CloseDatabaseRunRequest, Member } from '../../contract/database-activities.ts';
import type { RunIdentity } from '../../contract/run-identity.ts';
import type { ExtractTableRequest } from '../../contract/extract-table.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import type { Session } from '../../postgres/session.ts';
import type { CheckpointLimit } from '../incremental-plan.ts';
import { BRONZE } from '../layout.ts';
import { takeOrder } from './plans.ts';
import type { Base } from './targets.ts';

/** A table that a run of a whole database is to extract. */
export interface NewMember extends TableName {
  readonly bytes: number;
  readonly large: boolean;
  readonly request: ExtractTableRequest;
}

export interface NewDatabaseRun extends RunIdentity {
  readonly namespace: string;
  readonly source: string;
  readonly consistency: string;
  readonly newTables: readonly string[];
  readonly vanishedTables: readonly string[];
}

/**
 * Records a run of a whole database and its tables, in order. May be repeated: if the first answer was lost, or after a
 * reset of the workflow, which keeps the run id and begins unpaused.
 */
export async function openDatabaseRun(
  session: Session,
  run: NewDatabaseRun,
  members: readonly NewMember[],
): Promise<void> {
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_database_runs
       (run_id, workflow_id, source, consistency, status, tables, new_tables, vanished_tables, namespace)
     VALUES ($1, $2, $3, $4, 'running', $5, $6, $7, $8)
     ON CONFLICT (run_id) DO UPDATE SET tables = excluded.tables, new_tables = excluded.new_tables,
       vanished_tables = excluded.vanished_tables, status = 'running', paused = false,
       started_at = excluded.started_at, finished_at = NULL, message = NULL`,
    [
      run.runId,
      run.workflowId,
      run.source,
      run.consistency,
      members.length,
      JSON.stringify(run.newTables),
      JSON.stringify(run.vanishedTables),
      run.namespace,
    ],
  );
  await forgetMembers(session, run.runId);
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_members (run_id, member, source_schema, source_table, bytes, large, request)
     SELECT $1, (m.position - 1)::int, m.entry ->> 'schema', m.entry ->> 'name', (m.entry ->> 'bytes')::numeric::bigint,
            (m.entry ->> 'large')::boolean, m.entry -> 'request'
       FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS m(entry, position)`,
    [run.runId, JSON.stringify(members)],
  );
}

/** Reads at most `most` members, from number `from` on. */
export async function readMemberPage(
  session: Session,
  runId: string,
  from: number,
  most: number,
): Promise<Member[]> {
  const rows = await session.query<{
    source_schema: string;
    source_table: string;
    bytes: string;
    large: boolean;
  }>(
    `SELECT source_schema, source_table, bytes, large FROM ${BRONZE}.extraction_members WHERE run_id = $1 AND member >= $2 ORDER BY member LIMIT $3`,
    [runId, from, most],
  );
  return rows.map(({ source_schema: schema, source_table: name, bytes, large }) => ({
    table: formatTableName({ schema, name }),
    bytes: Number(bytes),
    large,
  }));
}

/** Facts about a table from before its run's snapshot was taken. */
export interface BeforeSnapshot {
  /** The number that represents the snapshot among plan numbers. A bigint, as text. */
  readonly order: string;
  /** Present for an incremental table. */
  readonly increment?: IncrementBefore;
}

/** Includes the rows that bronze had: rows that arrive later may be newer than the snapshot. */
export interface IncrementBefore extends Base {
  /** The limit that the checkpoint must not pass. */
  readonly limit: CheckpointLimit;
}

export interface StoredMember {
  readonly member: number;
  readonly request: ExtractTableRequest;
  /** Absent if the run has no snapshot for all tables, so that there was nothing to record. */
  readonly before?: BeforeSnapshot;
}

export async function readMembers(
  session: Session,
  runId: string,
  members: readonly number[],
): Promise<StoredMember[]> {
  const rows = await session.query<{
    member: number;
    request: ExtractTableRequest;
    increment: IncrementBefore | null;
    order: string | null;
  }>(
    `SELECT m.member, m.request, m.before_snapshot AS increment, r.plan_order AS order
       FROM ${BRONZE}.extraction_members m JOIN ${BRONZE}.extraction_database_runs r USING (run_id)
      WHERE m.run_id = $1 AND m.member = ANY ($2) ORDER BY m.member`,
    [runId, members],
  );
  return rows.map(({ member, request, increment, order }) => ({
    member,
    request,
    ...(order !== null && { before: { order, ...(increment !== null && { increment }) } }),
  }));
}

export async function readIncrementalMembers(session: Session, runId: string): Promise<StoredMember[]> {
  return session.query<{ member: number; request: ExtractTableRequest }>(
    `SELECT member, request FROM ${BRONZE}.extraction_members
      WHERE run_id = $1 AND request ? 'incremental' ORDER BY member`,
    [runId],
  );
}

/** Takes the number that represents the snapshot about to be taken, and stores facts about increments before it. */
export async function recordBeforeSnapshot(
  session: Session,
  runId: string,
  increments: ReadonlyMap<number, IncrementBefore>,
): Promise<void> {
  await session.query(`UPDATE ${BRONZE}.extraction_database_runs SET plan_order = $2 WHERE run_id = $1`, [
    runId,
    await takeOrder(session),
  ]);
  await session.query(
    `UPDATE ${BRONZE}.extraction_members m SET before_snapshot = i.entry -> 'increment'
       FROM jsonb_array_elements($2::jsonb) AS i(entry)
      WHERE m.run_id = $1 AND m.member = (i.entry ->> 'member')::int`,
    [runId, JSON.stringify([...increments].map(([member, increment]) => ({ member, increment })))],
  );
}

export type MayBegin = 'yes' | 'paused' | 'skipped';

/** Returns which small tables may begin: the run may have been paused since, or a table skipped. */
export async function mayBegin(
  session: Session,
  runId: string,
  members: readonly number[],
): Promise<ReadonlyMap<number, MayBegin>> {
  const rows = await session.query<{ member: number; paused: boolean; skipped: boolean }>(
    `SELECT m.member, r.paused, m.skipped FROM ${BRONZE}.extraction_database_runs r
       JOIN ${BRONZE}.extraction_members m USING (run_id) WHERE r.run_id = $1 AND m.member = ANY ($2)`,
    [runId, members],
  );
  const found = new Map(rows.map(({ member, ...row }) => [member, row]));
  return new Map(members.map((member) => [member, answer(found.get(member))]));
}

/** Counts a table without a row as skipped: a run that is over has none. */
function answer(row: { readonly paused: boolean; readonly skipped: boolean } | undefined): MayBegin {
  if (row === undefined || row.skipped) return 'skipped';
  return row.paused ? 'paused' : 'yes';
}

/** Tells running activities what they must not begin. See {@link beginSteeringAnew} for what is no longer skipped. */
export async function steer(
  session: Session,
  runId: string,
  { paused, skipped }: { readonly paused: boolean; readonly skipped: readonly number[] },
): Promise<void> {
  await session.query(`UPDATE ${BRONZE}.extraction_database_runs SET paused = $2 WHERE run_id = $1`, [
    runId,
    paused,
  ]);
  await session.query(
    `UPDATE ${BRONZE}.extraction_members SET skipped = true WHERE run_id = $1 AND member = ANY ($2)`,
    [runId, skipped],
  );
}

/** Ends a pause, and no longer skips tables other than these: a run that starts over is steered anew. */
export async function beginSteeringAnew(
  session: Session,
  runId: string,
  skipped: readonly number[],
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.extraction_database_runs SET paused = false WHERE run_id = $1 AND paused`,
    [runId],
  );
  await session.query(
    `UPDATE ${BRONZE}.extraction_members SET skipped = false WHERE run_id = $1 AND skipped AND member <> ALL ($2)`,
    [runId, skipped],
  );
}

export async function closeDatabaseRecord(session: Session, run: CloseDatabaseRunRequest): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.extraction_database_runs
        SET status = $2, committed = $3, superseded = $4, failed = $5, skipped = $6, rows = $7, bytes = $8,
            restarts = $9, snapshot_at = $10, snapshot_lsn = $11, message = $12, warnings = coalesce($13::jsonb, '[]'), finished_at = clock_timestamp()
      WHERE run_id = $1 AND status = 'running'`,
    [
      run.runId,
      run.status,
      run.committed,
      run.superseded,
      run.failed,
      run.skipped,
      run.rows,
      run.bytes,
      run.restarts,
      run.snapshot?.takenAt ?? null,
      run.snapshot?.lsn ?? null,
      run.message ?? null,
      JSON.stringify(run.warnings),
    ],
  );
  await forgetMembers(session, run.runId);
}

export async function forgetMembers(session: Session, runId: string): Promise<void> {
  await session.query(`DELETE FROM ${BRONZE}.extraction_members WHERE run_id = $1`, [runId]);
}

/** Returns the tables of a source that bronze has rows of. */
export async function readFeeds(session: Session, source: string): Promise<TableName[]> {
  return session.query<TableName & Record<string, unknown>>(
    `SELECT DISTINCT t.source_schema AS schema, t.source_table AS name FROM ${BRONZE}.extraction_targets t
      WHERE t.source = $1 AND to_regclass(format('%I.%I', '${BRONZE}', t.target)) IS NOT NULL`,
    [source],
  );
}
