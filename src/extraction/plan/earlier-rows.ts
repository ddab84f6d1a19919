import type { Standing } from '../../bronze/bookkeeping/targets.ts';
import { BRONZE } from '../../bronze/layout.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';

/**
 * Warns of what a run does to rows that bronze has from before and the source may not: those of another database, and
 * those that incremental runs have kept.
 *
 * @param sourceUri of the database that the run reads
 */
export function warningsOfEarlierRows(
  standing: Standing | undefined,
  target: string,
  { incremental, write }: ExtractTableInput,
  sourceUri: string,
): string[] {
  if (standing === undefined) return [];
  const warnings: string[] = [];
  if (standing.hasCheckpoint && incremental === undefined && write !== 'replace-partitions') {
    warnings.push(
      `This run replaces all rows of ${BRONZE}.${target}, including those that incremental runs have kept and the source no longer has, and ends their checkpoint. For an increment, "incremental" must be given.`,
    );
  }
  if (standing.sourceUri !== null && standing.sourceUri !== sourceUri) {
    warnings.push(
      `The last run of ${BRONZE}.${target} read ${standing.sourceUri}, and this one reads ${sourceUri}. If that is another database, and not another name of the same, its rows need another "target" or another source name.`,
    );
  }
  return warnings;
}
