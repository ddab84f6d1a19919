import { log } from '@temporalio/activity';
import type { FinishCopyRequest } from '../contract/capture-activities.ts';
import { formatTableName } from '../contract/table-name.ts';
import { finishCopy as finish } from '../capture/copy-tables.ts';
import { readSourceUri } from '../capture/source-facts.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function finishCopy(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: FinishCopyRequest,
): Promise<void> {
  const shown = formatTableName(request.table);
  await runActivity(
    `ending the copy of ${shown}`,
    async ({ signal }) => {
      await ready();
      const source = sourceNamed(request.source);
      const limits = { run: request.runId, signal };
      const sourceUri = await readSourceUri(source, limits);
      await warehouse.write(limits, async (session) =>
        finish(session, request, {
          deletes: request.deletes,
          sourceUri,
          readSource: async (work) => source.read(limits, work),
        }),
      );
      log.info('copied a table of a capture', { table: shown, captureId: request.captureId });
    },
    { underWay: true },
  );
}
