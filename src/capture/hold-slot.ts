import { readCapture, recordSlot } from '../bronze/cdc/positions.ts';
import { recordSnapshot } from '../bronze/cdc/tables.ts';
import type { HoldSlotRequest } from '../contract/capture-activities.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { DatakitError } from '../contract/failures.ts';
import type { Database } from '../postgres/database.ts';
import { ReplicationSession } from '../postgres/replication/replication-session.ts';
import { copySlotName, describeWriters, dropSlot, endStreamOf } from '../postgres/replication/slots.ts';
import { sqlStateOf } from '../postgres/server-failure.ts';
import { enterSnapshot } from '../postgres/snapshot.ts';
import type { CaptureContext } from './capture-context.ts';

/** SQLSTATE where a slot has that name. */
const SLOT_EXISTS = '42710';

/** Most slots are created at once. One that takes longer waits for open transactions, and reports which. */
const EXPECTED = 5_000;

export interface HeldSlot extends AsyncDisposable {
  readonly snapshot: Snapshot;
  /** Why the session is gone, and the snapshot with it. */
  readonly lost: () => Error | undefined;
}

/**
 * Creates a slot and keeps the snapshot of its start until disposed: the snapshot lives in the replication
 * session until the next command there.
 *
 * @param onWaiting called with the transactions that the slot waits for
 */
export async function holdSlot(
  { slot, runId, holder, ...reference }: HoldSlotRequest,
  { warehouse, source, signal }: CaptureContext,
  onWaiting: (writers: readonly string[]) => void,
): Promise<HeldSlot> {
  const limits = { run: runId, signal };
  const capture = await warehouse.write(limits, async (session) => readCapture(session, reference));
  const replication = await ReplicationSession.open(source, runId, signal);
  const watch = setInterval(() => {
    source
      .read(limits, async (session) => describeWriters(session))
      .then(onWaiting)
      .catch(() => undefined);
  }, EXPECTED);
  const name = slot === 'permanent' ? capture.slot : copySlotName(capture.slot, holder);
  let isMade = false;
  try {
    const { consistentPoint, snapshotId } = await replication.createSlot(name, slot);
    isMade = slot === 'permanent';
    // by the clock of the source; a command in the session of the slot would end its snapshot
    const { takenAt } = await source.read(limits, async (session) => enterSnapshot(session, undefined));
    await warehouse.write(limits, async (session) => {
      const { captureId } = await readCapture(session, reference);
      if (slot === 'permanent') await recordSlot(session, captureId, consistentPoint);
      await recordSnapshot(session, captureId, consistentPoint);
    });
    return {
      snapshot: { id: snapshotId, takenAt, lsn: consistentPoint },
      lost: () => replication.lost,
      [Symbol.asyncDispose]: async () => replication[Symbol.asyncDispose](),
    };
  } catch (error) {
    await replication[Symbol.asyncDispose]();
    await endMaking(source, name, runId);
    if (isMade) await dropMade(source, name, runId);
    signal.throwIfAborted();
    if (sqlStateOf(error) === SLOT_EXISTS) throw madeBefore(name);
    throw error instanceof DatakitError ? error : new DatakitError('SnapshotLost', String(error));
  } finally {
    clearInterval(watch);
  }
}

/** A capture is on record before its slot is made, so that what has its name is what an earlier start has made. */
const madeBefore = (slot: string): DatakitError =>
  new DatakitError(
    'SnapshotLost',
    `The slot "${slot}" was made before, and its snapshot ended with the session that made it`,
  );

/**
 * Ends a session that goes on making a slot, and keeps the log of the source for it: while it waits for open
 * transactions, the server does not notice that the client is gone.
 */
async function endMaking(source: Database, slot: string, runId: string): Promise<void> {
  // dropCapture ends what is left
  await source
    .read({ run: runId }, async (session) => endStreamOf(session, slot, runId))
    .catch(() => undefined);
}

/** Drops a slot whose start is not on record, and which would hold back log for a capture that may be dropped by now. */
async function dropMade(source: Database, slot: string, runId: string): Promise<void> {
  await source.write({ run: runId }, async (session) => dropSlot(session, slot)).catch(() => undefined);
}
