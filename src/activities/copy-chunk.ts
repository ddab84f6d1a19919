import { log } from '@temporalio/activity';
import type { ChunkResult, CopyChunkRequest } from '../contract/activities.ts';
import { copyChunk as copy } from '../extraction/copy-chunk.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function copyChunk(
  { warehouse, sourceNamed }: Dependencies,
  request: CopyChunkRequest,
): Promise<ChunkResult> {
  const { planId, chunk } = request;
  return runActivity(`copying chunk ${chunk}`, async ({ signal, attempt, report }) => {
    const onProgress = (bytes: number) => report({ chunk, bytes });
    const result = await copy(request, { warehouse, sourceNamed, attempt, signal, onProgress });
    log.info('copied', { planId, chunk, ...result });
    return result;
  });
}
