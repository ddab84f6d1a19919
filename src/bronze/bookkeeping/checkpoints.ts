import { DatakitError } from '../../contract/failures.ts';
import type { Protection } from '../../contract/incremental.ts';
import type { Session } from '../../postgres/session.ts';
import type { SystemIdentity } from '../../postgres/system-identity.ts';
import { BRONZE } from '../layout.ts';
import type { Feed } from './targets.ts';

/** The settings a checkpoint was made with: under others it would stand for other rows. */
export interface CheckpointSettings {
  readonly column: string;
  readonly write: string;
  readonly key: readonly string[];
  readonly where: string | null;
}

export interface Checkpoint extends CheckpointSettings {
  readonly value: string;
  /** The kind of cursor, `timestamptz`. */
  readonly type: string;
}

/** What the rows up to a checkpoint were read from. */
export interface CheckpointOrigin {
  /** Absent if the server did not tell. */
  readonly system?: SystemIdentity;
  /** OIDs: a database that is made anew from a dump has others, on the same server too. */
  readonly database: number;
  readonly table: number;
}

export interface StoredOrigin extends CheckpointOrigin {
  /** The position of the run's snapshot in the log of the server; null if it told none. */
  readonly lsn: string | null;
}

export interface StoredCheckpoint extends Checkpoint {
  /** Null if a worker of an earlier version recorded the checkpoint. */
  readonly origin: StoredOrigin | null;
}

/** Returns SQL for whether a checkpoint stands for the rows that a bronze table shows. */
export const hasCheckpoint = (target: string): string =>
  `EXISTS (SELECT FROM ${BRONZE}.extraction_checkpoints k WHERE k.target = ${target} AND k.status = 'success')`;

/** Finds the checkpoint that stands for the rows a bronze table shows. */
export async function findCheckpoint(
  session: Session,
  target: string,
): Promise<StoredCheckpoint | undefined> {
  const [row] = await session.query<StoredCheckpoint & Record<string, unknown>>(
    `SELECT checkpoint_value AS value, cursor_column AS column, cursor_type AS type, write_mode AS write,
            key_columns AS key, filter AS "where", origin
       FROM ${BRONZE}.extraction_checkpoints
      WHERE target = $1 AND status = 'success' ORDER BY checkpoint_id DESC LIMIT 1`,
    [target],
  );
  return row;
}

/** @throws {DatakitError} CheckpointConflict, naming the setting that changed */
export function requireSameSettings(target: string, then: CheckpointSettings, now: CheckpointSettings): void {
  const compared = { 'incremental.column': 'column', write: 'write', key: 'key', where: 'where' } as const;
  for (const [input, setting] of Object.entries(compared)) {
    const [before, after] = [JSON.stringify(then[setting]), JSON.stringify(now[setting])];
    if (before === after) continue;
    throw new DatakitError(
      'CheckpointConflict',
      `The checkpoint of ${BRONZE}.${target} was made with "${input}" ${before}, and now it is ${after}`,
    );
  }
}

export interface NewCheckpoint extends Checkpoint, Feed {
  readonly target: string;
  readonly runId: string;
  readonly protection: Protection;
  readonly planId: string;
  readonly origin: CheckpointOrigin | undefined;
}

export async function recordCheckpoint(session: Session, checkpoint: NewCheckpoint): Promise<void> {
  const { source, table, target, column, type, value, write, key, where, protection, runId } = checkpoint;
  const { planId, origin } = checkpoint;
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_checkpoints
       (source, source_schema, source_table, target, cursor_column, cursor_type, checkpoint_value, status,
        write_mode, key_columns, filter, protection, run_id, origin)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'success', $8, $9, $10, $11, $12, $13::jsonb || jsonb_build_object(
             'lsn', (SELECT max(snapshot_lsn) FROM ${BRONZE}.extraction_chunks WHERE plan_id = $14)))`,
    [
      source,
      table.schema,
      table.name,
      target,
      column,
      type,
      value,
      write,
      JSON.stringify(key),
      where,
      protection,
      runId,
      origin === undefined ? null : JSON.stringify(origin),
      planId,
    ],
  );
}

/** Marks checkpoints as superseded, since one says nothing about rows other than those it was recorded with. */
export async function supersedeCheckpoints(session: Session, targets: readonly string[]): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.extraction_checkpoints SET status = 'superseded' WHERE target = ANY ($1) AND status = 'success'`,
    [targets],
  );
}
