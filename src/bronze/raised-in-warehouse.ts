import { DatakitError } from '../contract/failures.ts';
import { isRaised } from '../postgres/server-failure.ts';

/** Gives an error that a function in the warehouse raised another advice: that of its kind is about "where". */
export function asRaisedInWarehouse(failure: DatakitError): DatakitError {
  if (failure.kind !== 'InvalidValue' || !isRaised(failure)) return failure;
  return new DatakitError(failure.kind, failure.message, {
    cause: failure.cause,
    advice:
      'A function that somebody made in the warehouse (for a trigger, an event trigger, a constraint or an index) refused what the run did. Its message is in the log of the warehouse, and is deliberately not shown here.',
  });
}
