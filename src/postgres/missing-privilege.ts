import { DatakitError } from '../contract/failures.ts';
import { sqlStateOf } from './server-failure.ts';

/** Returns the failure of a role that lacks a privilege, with the statement that gives it what it lacks. */
export const missingPrivilege = (what: string, statement: string, options?: ErrorOptions): DatakitError =>
  new DatakitError('InsufficientPrivilege', `${what}. Ask somebody who may to run: ${statement}`, options);

/** Why a role does not run what changes the source, by SQLSTATE. */
const refusals: Readonly<Record<string, string>> = {
  '42501': 'The role lacks a privilege that the capture needs',
  '25006':
    'The role changes nothing while its default_transaction_read_only is on, which the capture needs it to',
};

/** Runs a statement that changes the source; if the role does not, the error says what must be run. */
export async function orStatementFor<T>(statement: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const refusal = refusals[sqlStateOf(error) ?? ''];
    if (refusal === undefined) throw error;
    const shown = statement.length > 2000 ? `${statement.slice(0, 2000)}...` : statement;
    throw missingPrivilege(refusal, shown, { cause: error });
  }
}
