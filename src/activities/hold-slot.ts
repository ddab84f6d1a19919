import { Context, log } from '@temporalio/activity';
import type { HoldSlotRequest } from '../contract/capture-activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { holdSlot as hold } from '../capture/hold-slot.ts';
import type { Dependencies } from './dependencies.ts';
import { signalWorkflow } from './hold-snapshot.ts';
import { runActivity } from './run-activity.ts';

/** How often the holder looks whether its session still lives. */
const CHECK_INTERVAL = 500;

export async function holdSlot(
  { warehouse, holdingSourceNamed, worker }: Dependencies,
  request: HoldSlotRequest,
): Promise<void> {
  const { source: name, holder, captureId } = request;
  await runActivity('holding the snapshot of a new slot', async ({ signal, report }) => {
    const source = holdingSourceNamed(name);
    const onWaiting = (writers: readonly string[]) => {
      report({ waitingFor: writers });
      log.warn('the slot waits for transactions that are open', { captureId, writers });
    };
    await using held = await hold(request, { warehouse, source, signal }, onWaiting);
    const { snapshot } = held;
    report(snapshot);
    await signalWorkflow({ holder, worker, snapshot });
    log.info('holding the snapshot of a slot', { captureId, holder, ...snapshot });
    while (held.lost() === undefined) await Context.current().sleep(CHECK_INTERVAL);
    throw new DatakitError('SnapshotLost', 'The session that made the slot ended, and its snapshot with it');
  });
}
