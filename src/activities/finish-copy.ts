import { log } from '@temporalio/activity';
import type { FinishCopyRequest } from '../contract/capture-activities.ts';
import { formatTableName } from '../contract/table-name.ts';
import { finishCopy as finish, type FinishContext } from '../capture/copy-tables.ts';
import { readSourceUri } from '../capture/source-facts.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity, type ActivityTools } from './run-activity.ts';

export async function finishCopy(dependencies: Dependencies, request: FinishCopyRequest): Promise<void> {
  await runActivity(
    `ending the copy of ${formatTableName(request.table)}`,
    async (tools) => {
      await dependencies.ready();
      const { source, runId: run } = request;
      const sourceUri = await readSourceUri(dependencies.sourceNamed(source), { run, signal: tools.signal });
      await endCopy(dependencies, { ...request, sourceUri }, tools);
    },
    { underWay: true },
  );
}

/** Has the changes of a table applied to its copy from now on. */
export async function endCopy(
  { warehouse, sourceNamed }: Pick<Dependencies, 'warehouse' | 'sourceNamed'>,
  { sourceUri, ...request }: FinishCopyRequest & Pick<FinishContext, 'sourceUri'>,
  { signal, attempt }: Pick<ActivityTools, 'signal' | 'attempt'>,
): Promise<void> {
  const source = sourceNamed(request.source);
  const limits = { run: request.runId, signal };
  await warehouse.write({ ...limits, attempt }, async (session) => {
    await finish(session, request, {
      deletes: request.deletes,
      sourceUri,
      readSource: async (work) => source.read(limits, work),
    });
  });
  const { captureId } = request;
  log.info('copied a table of a capture', { table: formatTableName(request.table), captureId });
}
