import { log } from '@temporalio/activity';
import type { Copied, CopyChunksRequest } from '../contract/activities.ts';
import { copyChunks as copy } from '../extraction/copy-chunks.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function copyChunks(
  { warehouse, sourceNamed }: Dependencies,
  request: CopyChunksRequest,
): Promise<Copied> {
  const { planId, from, count } = request;
  const purpose = count === 1 ? `copying chunk ${from}` : `copying chunks ${from} to ${from + count - 1}`;
  return runActivity(purpose, async ({ signal, attempt, report }) => {
    const copied = await copy(request, { warehouse, sourceNamed, attempt, signal, onProgress: report });
    log.info('copied', { planId, from, count, ...copied });
    return copied;
  });
}
