import { companionTarget } from '../../bronze/layout.ts';
import type { LargeObjectPlan } from '../../bronze/plan.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';

type Wanted = Pick<ExtractTableInput, 'largeObjects' | 'largeObjectPartSize' | 'missingLargeObjects'>;

/** What is to become of the large objects that a table names, if they are asked for. */
export function planLargeObjects(target: string, input: Wanted): LargeObjectPlan | undefined {
  if (input.largeObjects === undefined) return undefined;
  return {
    columns: input.largeObjects,
    partSize: input.largeObjectPartSize,
    missing: input.missingLargeObjects,
    target: companionTarget(target),
  };
}
