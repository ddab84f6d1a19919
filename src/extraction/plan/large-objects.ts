import { companionTarget } from '../../bronze/layout.ts';
import type { LargeObjectPlan } from '../../bronze/plan.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';

type Wanted = Pick<ExtractTableInput, 'largeObjects' | 'largeObjectPartSize' | 'missingLargeObjects'>;

/** Plans the large objects that a table refers to; undefined if they are not requested. */
export function planLargeObjects(target: string, input: Wanted): LargeObjectPlan | undefined {
  if (input.largeObjects === undefined) return undefined;
  return {
    columns: input.largeObjects,
    partSize: input.largeObjectPartSize,
    missing: input.missingLargeObjects,
    target: companionTarget(target),
  };
}
