import { DatakitError } from '../../contract/failures.ts';
import { serverFailure, sqlStateOf } from '../../postgres/server-failure.ts';

/**
 * Classes of SQLSTATE with which a server says that rows or types do not fit what is there: not supported (a
 * view on the column), a value, a constraint, dependent objects, a function or operator that is not there
 * for the type, a limit (too wide for an index).
 */
const conflicts = /^(0A|22|23|2B|42|54)/;
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Runs a statement that fails where what people attached to a bronze table does not fit the new rows.
 *
 * @param problem what cannot be, as the beginning of a sentence
 * @throws {DatakitError} SchemaConflict
 */
export async function orSchemaConflict<T>(problem: string, statement: () => Promise<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    if (!conflicts.test(state) || state === INSUFFICIENT_PRIVILEGE) throw error;
    const { message } = serverFailure(error, 'warehouse');
    throw new DatakitError('SchemaConflict', `${problem}: ${message}`, { cause: error });
  }
}
