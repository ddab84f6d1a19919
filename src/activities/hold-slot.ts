import { log } from '@temporalio/activity';
import type { HoldSlotRequest } from '../contract/capture-activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { holdSlot as hold } from '../capture/hold-slot.ts';
import type { Dependencies } from './dependencies.ts';
import { keepSnapshot } from './keep-snapshot.ts';
import { runActivity } from './run-activity.ts';

export async function holdSlot(
  { warehouse, ready, holdingSourceNamed, worker, isStopping }: Dependencies,
  request: HoldSlotRequest,
): Promise<void> {
  const { source: name, holder, captureId } = request;
  await runActivity('holding the snapshot of a new slot', async ({ signal, report }) => {
    await ready();
    const source = holdingSourceNamed(name);
    const onWaiting = (writers: readonly string[]) => {
      report({ waitingFor: writers });
      log.warn('the slot waits for transactions that are open', { captureId, writers });
    };
    await using held = await hold(request, { warehouse, source, signal }, onWaiting);
    const { snapshot } = held;
    report(snapshot);
    log.info('holding the snapshot of a slot', { captureId, holder, ...snapshot });
    const requireLife = async () => {
      if (held.lost() === undefined) return;
      throw new DatakitError(
        'SnapshotLost',
        'The session that made the slot ended, and its snapshot with it',
      );
    };
    await keepSnapshot({ holder, worker, snapshot }, { source: name, isStopping, requireLife });
  });
}
