import { withAdvice } from '../contract/failures.ts';
import { InputError } from '../contract/parse-input.ts';
import { ofKind } from './failure.ts';

/** Parses an input; one that does not fit its schema ends the workflow before any database is asked. */
export function checked<Input>(parse: () => Input): Input {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw ofKind('InvalidInput', withAdvice('InvalidInput', error.message));
  }
}
