import { Context, log } from '@temporalio/activity';
import { readPlan } from '../bronze/bookkeeping/plans.ts';
import type { CopiedSpan, CopyChunksRequest } from '../contract/chunks.ts';
import { formatTableName } from '../contract/table-name.ts';
import { copyChunks as copy } from '../extraction/copy/copy-chunks.ts';
import type { CopiedTogether } from '../extraction/copy/copy-context.ts';
import type { Dependencies } from './dependencies.ts';
import { countCopied } from './metrics.ts';
import { dropWhenTerminated } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

export async function copyChunks(
  dependencies: Dependencies,
  request: CopyChunksRequest,
): Promise<CopiedSpan> {
  const { warehouse, ready, sourceNamed, isStopping } = dependencies;
  const { planId, runId, from, count } = request;
  const purpose = count === 1 ? `copying chunk ${from}` : `copying chunks ${from} to ${from + count - 1}`;
  return runActivity(
    purpose,
    async ({ signal, attempt, doing, report }) => {
      await ready();
      const onCopied = (copied: CopiedTogether) => {
        countCopied(copied.source, copied, copied.chunks);
        log.info('copied', {
          planId,
          attempt: attempt.number,
          runId: Context.current().info.workflowExecution?.runId,
          ...copied,
        });
      };
      return copy(request, {
        warehouse,
        sourceNamed,
        attempt,
        signal,
        isStopping,
        onPlanRead: ({ table }) => doing(`${purpose} of ${formatTableName(table)}`),
        onProgress: report,
        onCopied,
      });
    },
    {
      underWay: true,
      afterwards: async () =>
        dropWhenTerminated(dependencies, async (session) => (await readPlan(session, planId, runId)).runId),
    },
  );
}
