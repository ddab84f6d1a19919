import {
  maintainBronzeExample,
  maintainBronzeInput,
  type MaintainBronzeRequest,
  type MaintainBronzeResult,
} from '../contract/maintain-bronze.ts';
import { parseInput } from '../contract/parse-input.ts';
import { maintainBronze as maintain } from './activities.ts';
import { checked } from './checked-input.ts';
import { asRunFailure } from './failure.ts';

/** Drops what was left in the warehouse by runs that could not clean up after themselves. */
export async function maintainBronze(request: MaintainBronzeRequest = {}): Promise<MaintainBronzeResult> {
  const input = checked(() => parseInput(maintainBronzeInput, request, maintainBronzeExample));
  try {
    return await maintain(input);
  } catch (error) {
    throw asRunFailure(error);
  }
}
