import { DatakitError } from '../contract/failures.ts';

/** Returns the failure of a role that lacks a privilege, with the statement that gives it what it lacks. */
export const missingPrivilege = (what: string, statement: string, options?: ErrorOptions): DatakitError =>
  new DatakitError('InsufficientPrivilege', `${what}. Ask somebody who may to run: ${statement}`, options);
