import { bookkeepingTables, feedOf } from '../../bronze/layout.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';

/** What people write who take a target for a qualified name. A name may have dots elsewhere. */
const IN_BRONZE = /^"?bronze"?\./i;

/**
 * Returns the target that an input asks for.
 *
 * @throws {DatakitError} InvalidInput if no run may write it
 */
export function chosenTarget(input: ExtractTableInput): string {
  const { target } = feedOf(input);
  const qualified = IN_BRONZE.exec(target);
  if (qualified !== null) {
    throw new DatakitError(
      'InvalidInput',
      `"target" is the name of a table without its schema, which is always bronze: write "${target.slice(qualified[0].length)}"`,
    );
  }
  const reserved: readonly string[] = bookkeepingTables;
  if (!reserved.includes(target)) return target;
  throw new DatakitError(
    'InvalidInput',
    `"target" names ${target}, where datakit-postgres keeps its own records`,
  );
}
