import { log } from '@temporalio/activity';
import {
  beginSteeringAnew,
  readIncrementalMembers,
  recordBeforeSnapshot,
  type IncrementBefore,
} from '../bronze/bookkeeping/database-runs.ts';
import type { LimitIncrementsRequest } from '../contract/database-activities.ts';
import { extractTableInput } from '../contract/extract-table.ts';
import { DatakitError, affectsEveryTable } from '../contract/failures.ts';
import { incrementOf } from '../extraction/small/extract-small-table.ts';
import { planRun, readingLimits } from '../extraction/plan/plan-run.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

/** Records what a snapshot for all tables needs beforehand: its place among the plans, and checkpoint limits. */
export async function limitIncrements(
  { warehouse, sourceNamed }: Dependencies,
  { runId, source: name, skipped }: LimitIncrementsRequest,
): Promise<void> {
  await runActivity('bounding the checkpoints', async ({ signal, report }) => {
    const source = sourceNamed(name);
    const limits = { run: runId, signal };
    await warehouse.write(limits, async (target) => {
      if (skipped !== undefined) await beginSteeringAnew(target, runId, skipped);
      const increments = new Map<number, IncrementBefore>();
      for (const { member, request } of await readIncrementalMembers(target, runId)) {
        report({ bounded: increments.size });
        const input = extractTableInput.parse(request);
        try {
          const increment = incrementOf(
            await planRun(source, target, input, { ...limits, ...readingLimits(input) }),
          );
          if (increment !== undefined) increments.set(member, increment);
        } catch (error) {
          // the table's own run reports what is wrong with it
          if (!(error instanceof DatakitError) || affectsEveryTable(error.kind)) throw error;
          log.info('a checkpoint could not be bounded', { member, reason: error.message });
        }
      }
      await recordBeforeSnapshot(target, runId, increments);
    });
  });
}
