import { withAdvice } from '../contract/failures.ts';
import { InputError, parseInput, type Input, type Output, type Schema } from '../contract/parse-input.ts';
import { ofKind } from './failure.ts';

/** The input as its schema reads it; what does not fit ends the workflow, and says so in the words of its author. */
export function checked<S extends Schema>(schema: S, request: unknown, example: Input<S>): Output<S> {
  try {
    return parseInput(schema, request, example);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw ofKind('InvalidInput', withAdvice('InvalidInput', error.message));
  }
}
