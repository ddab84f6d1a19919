import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { readLocked } from '../../postgres/catalog/locked-tables.ts';
import { isLockTimeout } from '../../postgres/server-failure.ts';
import type { Ask } from '../ask.ts';

/** Names the locked table or partition in a lock timeout, since the server does not. */
export async function namingLocked<T>(ask: Ask, table: TableName, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    const locked = await ask(async (source) => readLocked(source, table));
    const names = locked.length === 0 ? formatTableName(table) : listed(locked.map(formatTableName), 3);
    throw lockedBySomebody(names, error);
  }
}

/** @param what the name of the table, with its database where that is not obvious */
export function lockedBySomebody(what: string, cause: unknown): DatakitError {
  return new DatakitError('LockTimeout', `${what} is locked by another session of the source`, { cause });
}
