import { log } from '@temporalio/activity';
import type { CheckSourceInput, CheckSourceResult } from '../contract/check-source.ts';
import { checkSource as check } from '../extraction/check/check-source.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function checkSource(
  { warehouse, sourceNamed }: Dependencies,
  input: CheckSourceInput,
): Promise<CheckSourceResult> {
  return runActivity(`checking source "${input.source}"`, async ({ signal }) => {
    const result = await check(input, { source: sourceNamed(input.source), warehouse, signal });
    log.info('checked', { source: input.source, problems: result.problems, warnings: result.warnings });
    return result;
  });
}
