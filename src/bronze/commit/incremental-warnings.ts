import type { IncrementalOutcome } from '../../contract/incremental.ts';

/** Returns the warnings that the rows of an incremental run call for. */
export function incrementalWarnings({
  column,
  extraction,
  nullCursors,
  checkpoint,
}: IncrementalOutcome): string[] {
  const warnings: string[] = [];
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
