import {
  checkSourceExample,
  checkSourceInput,
  type CheckSourceRequest,
  type CheckSourceResult,
} from '../contract/check-source.ts';
import { parseInput } from '../contract/parse-input.ts';
import { checkSource as check } from './activities.ts';
import { asRunFailure } from './failure.ts';
import { checked } from './checked-input.ts';

/** Finds out whether extractions from a source can be expected to succeed, and what to do if not. */
export async function checkSource(request: CheckSourceRequest = {}): Promise<CheckSourceResult> {
  const input = checked(() => parseInput(checkSourceInput, request, checkSourceExample));
  try {
    return await check(input);
  } catch (error) {
    throw asRunFailure(error);
  }
}
