import { isCopyWanted, planCopy as planCopyOf } from '../capture/copy-tables.ts';
import type { PlanCopyRequest } from '../contract/capture-activities.ts';
import type { PlanSummary } from '../contract/plan-summary.ts';
import { formatTableName } from '../contract/table-name.ts';
import { LONGEST_LOCK_TIMEOUT } from '../extraction/plan/plan-run.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';
import { storePlanOf } from './store-plan.ts';

/** Plans the copy of a captured table; returns null if none is wanted. */
export async function planCopy(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: PlanCopyRequest,
): Promise<PlanSummary | null> {
  const { table, source, runId, workflowId } = request;
  return runActivity(
    `planning the copy of ${formatTableName(table)}`,
    async ({ signal, attempt }) => {
      await ready();
      const wanted = await warehouse.write({ run: runId, signal }, async (session) =>
        isCopyWanted(session, request),
      );
      if (!wanted) return null;
      const limits = { run: runId, signal, lockTimeout: LONGEST_LOCK_TIMEOUT };
      return storePlanOf(warehouse, signal, { runId, workflowId, attempt }, async (target) =>
        planCopyOf(sourceNamed(source), target, request, limits),
      );
    },
    { underWay: true },
  );
}
