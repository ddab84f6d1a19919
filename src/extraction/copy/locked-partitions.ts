import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { readLocked } from '../../postgres/catalog/locked-tables.ts';
import { isLockTimeout } from '../../postgres/server-failure.ts';
import type { Ask } from '../increment/settle-limit.ts';

/** Gives a failure that is about a lock on a table, or on a partition of it, its name: the server does not say it. */
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

/** @param what names the table, and whose it is where that is not plain */
export function lockedBySomebody(what: string, cause: unknown): DatakitError {
  return new DatakitError('LockTimeout', `${what} is locked by another session of the source`, { cause });
}
