import { CancellationScope, condition, setHandler, uuid4 } from '@temporalio/workflow';
import type { HoldSnapshotRequest, Snapshot } from '../contract/activities.ts';
import { holdSnapshot } from './activities.ts';
import { holderFailure, lost } from './failure.ts';
import { snapshotExportedSignal } from './messages.ts';

/**
 * Does work on one snapshot of the source, held open meanwhile and freed at its end, however it ends.
 *
 * Rejects with SnapshotLost when the holder is lost first; the work is cancelled and waited for.
 */
export async function withSnapshot(
  request: HoldSnapshotRequest,
  work: (snapshot: Snapshot) => Promise<void>,
): Promise<void> {
  let snapshot: Snapshot | undefined;
  let failure: { readonly error: unknown } | undefined;
  setHandler(snapshotExportedSignal, (exported) => void (snapshot = exported));
  const holding = new CancellationScope();
  const working = new CancellationScope();
  void holding
    .run(async () => holdSnapshot(`snapshot-${uuid4().slice(0, 8)}`)(request))
    .then(() => (failure = { error: lost('The holder of the snapshot ended') }))
    .catch((error: unknown) => (failure = { error: holderFailure(error) }))
    .finally(() => working.cancel());
  try {
    await working.run(async () => {
      await condition(() => snapshot !== undefined);
      if (snapshot !== undefined) await work(snapshot);
    });
  } catch (error) {
    // a lost holder cancels the work: the loss is the cause
    throw failure === undefined ? error : failure.error;
  } finally {
    holding.cancel();
  }
}
