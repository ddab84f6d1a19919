import type { DatakitError } from '../contract/failures.ts';
import { isGone } from '../postgres/server-failure.ts';
import { BRONZE, bookkeepingTables } from './layout.ts';

/** Returns true if a statement did not find a table of the bookkeeping, as after somebody dropped the schema. */
export const isBookkeepingLost = (failure: DatakitError): boolean =>
  isGone(failure) && bookkeepingTables.some((table) => failure.message.includes(`${BRONZE}.${table}`));
