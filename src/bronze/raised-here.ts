import { DatakitError } from '../contract/failures.ts';
import { isRaised } from '../postgres/server-failure.ts';

/** Says of an error that a function of the warehouse raised where to look: nothing of an input is evaluated there. */
export function asRaisedHere(failure: DatakitError): DatakitError {
  if (failure.kind !== 'InvalidValue' || !isRaised(failure)) return failure;
  return new DatakitError(failure.kind, failure.message, {
    cause: failure.cause,
    advice:
      'A function that somebody made there refused what the run did: of a trigger, an event trigger, a constraint or an index. The log of the warehouse has its words, which are deliberately not shown.',
  });
}
