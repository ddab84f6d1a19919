import { test } from 'vitest';

/** Like `test.for`, for cases that show the same: `npm test` has the first of them, the long suite the others. */
export function testVariants<const Variant>(variants: readonly Variant[]) {
  return (name: string, run: (variant: Variant) => Promise<void>): void => {
    test.for(variants.slice(0, 1))(name, async (variant) => run(variant));
    test.for(variants.slice(1))(name, { tags: 'long' }, async (variant) => run(variant));
  };
}
