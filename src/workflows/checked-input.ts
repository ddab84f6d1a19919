import { withAdvice } from '../contract/failures.ts';
import { InputError } from '../contract/parse-input.ts';
import { ofKind } from './failure.ts';

/**
 * Refuses a second input, which would be ignored, or taken for what only our own workflows pass to one another.
 *
 * @param isOurs tells what they pass
 */
export function requireOneInput(second: unknown, isOurs: (second: object) => boolean = () => false): void {
  if (second === undefined || (typeof second === 'object' && second !== null && isOurs(second))) return;
  const message = 'The input was refused. There is a second one, and each run has one only';
  throw ofKind('InvalidInput', withAdvice('InvalidInput', message));
}

/** Parses an input; one that does not fit its schema ends the workflow before any database is asked. */
export function checked<Input>(parse: () => Input): Input {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw ofKind('InvalidInput', withAdvice('InvalidInput', error.message));
  }
}
