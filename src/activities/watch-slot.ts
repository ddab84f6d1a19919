import { log } from '@temporalio/activity';
import { dropSlotOf } from '../capture/drop-capture.ts';
import type { SlotRequest } from '../contract/capture-activities.ts';
import { readLogPositions } from '../postgres/replication/slots.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function checkSlot(
  { sourceNamed }: Dependencies,
  { source, slot, runId }: SlotRequest,
): Promise<number> {
  return runActivity(`asking how much slot "${slot}" holds back`, async ({ signal }) => {
    const limits = { run: runId, signal };
    const { heldBack } = await sourceNamed(source).read(limits, async (session) =>
      readLogPositions(session, slot),
    );
    return heldBack;
  });
}

/** Does not touch the warehouse, which may be what keeps the slot from advancing. */
export async function dropSlot(
  { sourceNamed }: Dependencies,
  { source, slot, runId }: SlotRequest,
): Promise<boolean> {
  return runActivity(
    `dropping slot "${slot}"`,
    async ({ signal }) => {
      const dropped = await dropSlotOf(runId, slot, sourceNamed(source), signal);
      log.info('dropped a slot', { slot, dropped });
      return dropped;
    },
    { underWay: true },
  );
}
