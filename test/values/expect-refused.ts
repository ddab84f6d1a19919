import { expect } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import type { Lab } from '../setup/lab.ts';

/** Expects that an extraction fails, and that it leaves nothing behind. */
export async function expectRefused(
  lab: Lab,
  request: ExtractTableRequest,
  kind: FailureKind,
  text: string,
): Promise<void> {
  await expectFailure(lab.extract(request), kind, text);
  expect(await lab.leftoversAtLast()).toEqual([]);
}
