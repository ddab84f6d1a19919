import type { Standing } from '../../bronze/bookkeeping/targets.ts';
import { BRONZE, isMetadata } from '../../bronze/layout.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { listed } from '../../contract/listed.ts';
import { quoteName } from '../../postgres/identifiers.ts';

/** What a run reads. */
interface Read {
  readonly sourceUri: string;
  readonly columns: readonly { readonly name: string }[];
}

/**
 * Warns of what bronze has from earlier runs and this one does not read again: rows that incremental runs have kept, rows
 * of another database, and columns. An incremental run reports changes of columns in its result instead.
 */
export function warningsOfEarlierRows(
  standing: Standing | undefined,
  target: string,
  { incremental, write }: ExtractTableInput,
  { sourceUri, columns }: Read,
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
  const read = new Set(columns.map(({ name }) => name));
  const gone = (standing.columns ?? []).filter((name) => !isMetadata(name) && !read.has(name));
  if (gone.length > 0 && incremental === undefined) {
    warnings.push(
      `The last run of ${BRONZE}.${target} also read ${listed(gone.map(quoteName), 10)}, which this one does not. The columns stay in bronze, and are NULL in its rows.`,
    );
  }
  return warnings;
}
