import type { IncrementalOutcome } from '../../contract/incremental.ts';
import type { StagedFacts } from '../bookkeeping/plans.ts';

/** Returns the warnings that the rows of an incremental run call for. */
export function incrementalWarnings(
  { column, extraction, nullCursors, checkpoint }: IncrementalOutcome,
  staged: StagedFacts | undefined,
): string[] {
  const warnings: string[] = [];
  if (staged?.lags === true) {
    warnings.push(
      'The rows were read from a server that lacked what the plan had seen on another, so the checkpoint stays where it is. The name of the source leads to several servers, one of which lags, or a standby took over meanwhile. Name one server.',
    );
  }
  if (nullCursors > 0) {
    const reach =
      extraction === 'full'
        ? 'They were extracted now, and increments will not see them again'
        : 'Increments do not see them';
    warnings.push(`${nullCursors} rows have no value in the cursor column "${column}". ${reach}.`);
  }
  if (extraction === 'full' && checkpoint === null) {
    warnings.push('There is no checkpoint yet: the next run extracts everything again.');
  }
  return warnings;
}
