import { DatakitError } from '../contract/failures.ts';
import { isGone, ownWords, sqlStateOf } from '../postgres/server-failure.ts';
import { BRONZE, STAGING, STORAGE, bookkeepingTables } from './layout.ts';
import { PARSE_JSON } from './parse-json.ts';

/** Returns the failure of a statement that did not find what migrations make, as after somebody dropped a schema. */
export function asBookkeepingLost(failure: DatakitError): DatakitError | undefined {
  const { message } = failure;
  const schema = missingSchema(failure);
  if (schema !== undefined) return lost(`warehouse: the schema ${schema} does not exist`, failure);
  return isTableGone(failure) || isFunctionGone(failure) ? lost(message, failure) : undefined;
}

const lost = (message: string, cause: DatakitError): DatakitError =>
  new DatakitError('BookkeepingLost', message, { cause });

/** Some statements give a schema no place in their text, and then the failure does not tell its name. */
const missingSchema = (failure: DatakitError): string | undefined =>
  sqlStateOf(failure) === '3F000'
    ? [BRONZE, STAGING, STORAGE].find((schema) => new RegExp(`\\b${schema}\\b`).test(ownWords(failure)))
    : undefined;

const isTableGone = (failure: DatakitError): boolean =>
  isGone(failure) && bookkeepingTables.some((table) => failure.message.includes(`${BRONZE}.${table}`));

const isFunctionGone = (failure: DatakitError): boolean =>
  sqlStateOf(failure) === '42883' && failure.message.includes(PARSE_JSON);
