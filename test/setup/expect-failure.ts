import { expect } from 'vitest';
import type { FailureKind } from '../../src/contract/failures.ts';

/** Expects that a run, or an update of one, fails with this kind and a message that contains or matches the text. */
export async function expectFailure(
  outcome: Promise<unknown>,
  kind: FailureKind,
  text: string | RegExp,
): Promise<void> {
  const message = typeof text === 'string' ? expect.stringContaining(text) : expect.stringMatching(text);
  await expect(outcome).rejects.toMatchObject({ cause: { type: kind, message } });
}
