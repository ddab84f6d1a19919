import { setTimeout as sleep } from 'node:timers/promises';
import { SNAPSHOT_EXPORTED_SIGNAL, type HeldSnapshot } from '../../src/contract/snapshot.ts';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import type { ExtractHandle } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import type { FaultStack } from './fault-stack.ts';
import type { Seat } from './seat.ts';

export interface Restarted {
  /** Of copying activities, according to the history. */
  readonly failedAttempts: number;
  readonly chunks: number;
  /** Chunks marked by an attempt other than the first. */
  readonly chunksOfLaterAttempts: number;
  readonly restarts: number;
  /** Milliseconds. */
  readonly took: number;
}

/** Creates a table that nobody writes to. */
export async function makeTable({ lab }: FaultStack, rows: number): Promise<void> {
  await lab.source.query(`CREATE TABLE large (id bigint, v text);
    INSERT INTO large SELECT i, repeat(md5(i::text), 3) FROM generate_series(1, ${rows}) i`);
}

/** Requests a run of that table, slowed down to last most of a minute, with some hundred chunks. */
export const requestFor = (rows: number): ExtractTableRequest => ({
  table: 'large',
  chunkSize: `${Math.ceil(rows / 1000)}kB`,
  maxBytesPerSecond: `${Math.ceil(rows / 350)}kB`,
  parallelism: 4,
});

/** Returns the workers that hold the snapshot of a run, in the order of their signals. */
export async function holdersOf(handle: ExtractHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => {
    if (signal?.signalName !== SNAPSHOT_EXPORTED_SIGNAL) return [];
    const [payload] = signal.input?.payloads ?? [];
    return [(JSON.parse(Buffer.from(payload?.data ?? []).toString()) as HeldSnapshot).worker];
  });
}

/** Returns the worker with the most copies in progress. */
export async function busiestSeat({ seats }: FaultStack, handle: ExtractHandle): Promise<Seat | undefined> {
  const { pendingActivities } = (await handle.describe()).raw;
  const copies = (pendingActivities ?? []).filter(({ activityType }) => activityType?.name === 'copyChunks');
  const copiesOf = ({ pid }: Seat): number =>
    copies.filter(({ lastWorkerIdentity }) => lastWorkerIdentity?.startsWith(`${pid}@`)).length;
  return seats.toSorted((one, other) => copiesOf(other) - copiesOf(one))[0];
}

/** Counts the completed chunks. */
export async function chunksDone({ lab }: FaultStack): Promise<number> {
  const { rows } = await lab.warehouse.query<{ done: number }>(
    `SELECT count(*)::int AS done FROM bronze.extraction_chunks JOIN bronze.extraction_plans USING (plan_id)`,
  );
  return rows[0]?.done ?? 0;
}

/**
 * Replaces each worker in turn during a run, the next one as soon as the previous one is back.
 *
 * @returns the number of completed chunks when each was asked to stop
 */
export async function restartAll(stack: FaultStack, from: number): Promise<number[]> {
  await waitUntil(async () => (await chunksDone(stack)) >= from, 300_000);
  const done: number[] = [];
  for (const seat of stack.seats) {
    done.push(await chunksDone(stack));
    await seat.replace('SIGTERM', stack.version);
    await sleep(1_000);
  }
  return done;
}

/** Summarizes a run, after comparing all of its rows. */
export async function outcomeOf({ lab }: FaultStack, handle: ExtractHandle): Promise<Restarted> {
  const { restarts } = await handle.result();
  const { startTime, closeTime } = await handle.describe();
  const { events } = await handle.fetchHistory();
  const copies = new Set(
    (events ?? [])
      .filter(({ activityTaskScheduledEventAttributes: scheduled }) =>
        scheduled?.activityId?.startsWith('copy-'),
      )
      .map(({ eventId }) => String(eventId)),
  );
  const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
    copies.has(String(started?.scheduledEventId)) ? (started?.attempt ?? []) : [],
  );
  const { rows } = await lab.warehouse.query<{ later: number; chunks: number }>(
    'SELECT count(*) FILTER (WHERE attempt > 1)::int AS later, count(*)::int AS chunks FROM bronze.extraction_chunks',
  );
  await expectSameRows(lab, 'large', 'bronze.br_large');
  return {
    failedAttempts: attempts.reduce((sum, attempt) => sum + attempt - 1, 0),
    chunks: rows[0]?.chunks ?? 0,
    chunksOfLaterAttempts: rows[0]?.later ?? 0,
    restarts,
    took: (closeTime?.getTime() ?? 0) - startTime.getTime(),
  };
}
