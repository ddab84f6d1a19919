import { randomBytes } from 'node:crypto';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { type Client, escapeIdentifier } from 'pg';
import type {
  CaptureChangesRequest,
  CaptureChangesResult,
  CaptureStatus,
  DropCaptureRequest,
  DropCaptureResult,
} from '../../src/contract/capture-changes.ts';
import type * as workflows from '../../src/workflows/index.ts';
import type { Lab } from './lab.ts';
import { waitUntil } from './wait-until.ts';

export type CaptureHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.captureChanges>;

/** Captures in a lab, each with its own slot, since slots are shared by the whole server. */
export class CaptureLab {
  readonly lab: Lab;
  #captures = 0;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Makes the capturing role the owner of the lab's tables, as PostgreSQL requires for publishing them. */
  static async open(lab: Lab): Promise<CaptureLab> {
    await lab.source.query(
      `GRANT CREATE ON DATABASE ${escapeIdentifier(lab.source.database ?? '')} TO extractor;
       GRANT CREATE, USAGE ON SCHEMA public TO extractor; SET ROLE extractor`,
    );
    return new CaptureLab(lab);
  }

  /** Returns a unique name for a slot. */
  slotName(): string {
    return `slot_${this.lab.name}_${randomBytes(3).toString('hex')}`;
  }

  async start(request: CaptureChangesRequest, workflowId?: string): Promise<CaptureHandle> {
    this.#captures += 1;
    return this.lab.temporal.workflow.start<typeof workflows.captureChanges>('captureChanges', {
      taskQueue: this.lab.taskQueue,
      workflowId: workflowId ?? `${this.lab.taskQueue}-capture-${this.#captures}`,
      args: [{ publication: request.slot ?? 'datakit_publication', heartbeat: '1 second', ...request }],
    });
  }

  /** Captures until everything committed before is written. */
  async catchUp(request: CaptureChangesRequest): Promise<CaptureChangesResult> {
    return (await this.start({ ...request, until: 'caught-up' })).result();
  }

  async drop(request: DropCaptureRequest): Promise<DropCaptureResult> {
    this.#captures += 1;
    return this.lab.temporal.workflow.execute<typeof workflows.dropCapture>('dropCapture', {
      taskQueue: this.lab.taskQueue,
      workflowId: `${this.lab.taskQueue}-drop-${this.#captures}`,
      args: [request],
    });
  }

  /** Ends a running capture, and drops it. */
  async end(handle: CaptureHandle, slot: string): Promise<void> {
    await handle.cancel();
    await handle.result().catch(() => undefined);
    await this.drop({ slot });
  }

  async status(handle: CaptureHandle): Promise<CaptureStatus> {
    return handle.query<CaptureStatus>('status');
  }

  async untilStreaming(handle: CaptureHandle): Promise<void> {
    await waitUntil(async () => (await this.status(handle)).phase === 'streaming');
  }

  /** Waits until the warehouse has everything that the source has committed so far. */
  async untilWritten(slot: string, within = 30_000): Promise<void> {
    const { rows } = await this.lab.source.query<{ lsn: string }>(
      `SELECT pg_logical_emit_message(true, 'test', '')::text AS lsn`,
    );
    await waitUntil(async () => {
      const { rowCount } = await this.lab.warehouse.query(
        `SELECT FROM bronze.cdc_positions WHERE slot = $1 AND status = 'streaming' AND position >= $2::pg_lsn`,
        [slot, rows[0]?.lsn],
      );
      return rowCount === 1;
    }, within);
  }

  /** Waits for the end of a copy, of whose start the workflow learns a moment later. */
  async untilCopied(table: string): Promise<void> {
    const copying = `SELECT FROM bronze.cdc_tables WHERE "table" = $1 AND status = 'copying'`;
    await waitUntil(async () => (await this.lab.warehouse.query(copying, [table])).rowCount === 0);
  }

  /** Counts the slots of the lab whose name is like this. */
  async slots(like: string): Promise<number | null> {
    const slots =
      'SELECT FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE $1';
    return (await this.lab.source.query(slots, [like])).rowCount;
  }

  /** Returns the changes logged by a capture, in order. */
  async changes(slot: string): Promise<LoggedChange[]> {
    const { rows } = await this.lab.warehouse.query<LoggedChange>(
      `SELECT c.operation, c.schema, c."table", c.data::text AS data, c.old::text AS old, c.unchanged
         FROM bronze.cdc_changes c JOIN bronze.cdc_positions p USING (capture_id)
        WHERE c.slot = $1 AND p.status <> 'dropped' AND c.data ->> 'prefix' IS DISTINCT FROM 'test'
        ORDER BY commit_lsn, ordinal`,
      [slot],
    );
    return rows;
  }
}

export interface LoggedChange {
  readonly operation: string;
  readonly schema: string;
  readonly table: string;
  readonly data: string | null;
  readonly old: string | null;
  readonly unchanged: string[] | null;
}

/**
 * Replays the change log of a table by its key, on top of its first copy, into a separate table in the warehouse.
 *
 * In plain SQL, one change after another, so that it shares no code with what it checks.
 */
export async function replayLog(
  { warehouse }: { readonly warehouse: Client },
  { slot, table, key, into, from }: { slot: string; table: string; key: string; into: string; from: string },
): Promise<void> {
  await warehouse.query(`CREATE TABLE ${into} AS SELECT * FROM ${from};
    CREATE UNIQUE INDEX ON ${into} (${key});
    DO $$
    DECLARE
      change record;
      assignments text;
    BEGIN
      FOR change IN SELECT c.* FROM bronze.cdc_changes c JOIN bronze.cdc_positions p USING (capture_id)
                     WHERE c.slot = '${slot}' AND c."table" = '${table}' AND p.status <> 'dropped' ORDER BY commit_lsn, ordinal
      LOOP
        IF change.operation = 'TRUNCATE' THEN
          EXECUTE 'DELETE FROM ${into}';
        ELSIF change.operation = 'DELETE' THEN
          EXECUTE format('DELETE FROM ${into} WHERE ${key} = %L', change.old ->> '${key}');
        ELSIF change.operation = 'INSERT' THEN
          EXECUTE format('INSERT INTO ${into} SELECT (jsonb_populate_record(NULL::${into}, %L)).*', change.data);
        ELSE
          SELECT string_agg(format('%I = r.%I', k, k), ', ') INTO assignments FROM jsonb_object_keys(change.data) AS k;
          EXECUTE format('UPDATE ${into} AS t SET %s FROM jsonb_populate_record(NULL::${into}, %L) AS r WHERE t.${key} = %L',
            assignments, change.data, coalesce(change.old ->> '${key}', change.data ->> '${key}'));
        END IF;
      END LOOP;
    END $$`);
}
