import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import { sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import type { Storage } from './bronze-table.ts';
import { stagingIndexName } from './indexes.ts';
import { orSchemaConflict } from './schema-conflict.ts';

const NOT_IN_PREREQUISITE_STATE = '55000';

/**
 * Gives a loaded staging table the replica identity of the current partition, once it has the same indexes.
 *
 * @throws {DatakitError} SchemaConflict
 */
export async function keepReplicaIdentity(
  session: Session,
  storage: Storage | undefined,
  staging: TableName,
): Promise<void> {
  if (storage === undefined || storage.identity === 'default') return;
  const identity =
    typeof storage.identity === 'string'
      ? storage.identity
      : await identityByIndex(session, staging, storage.identity.index);
  await orSchemaConflict(
    `The new rows cannot have the replica identity of ${formatTableName(storage)}`,
    async () => session.query(`ALTER TABLE ${quoteTable(staging)} REPLICA IDENTITY ${identity}`),
  );
}

/** Returns FULL for an index that only the current partition has, because a run made it for itself. */
async function identityByIndex(session: Session, staging: TableName, index: number): Promise<string> {
  const name = stagingIndexName(staging, index);
  const { copied } = await session.one<{ copied: boolean }>('SELECT to_regclass($1) IS NOT NULL AS copied', [
    quoteTable({ ...staging, name }),
  ]);
  return copied ? `USING INDEX ${quoteName(name)}` : 'FULL';
}

/**
 * Updates or deletes rows of a partition, which PostgreSQL refuses if they are published and nothing identifies them.
 *
 * @throws {DatakitError} SchemaConflict
 */
export async function orUnidentified<T>(storage: TableName, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (sqlStateOf(error) !== NOT_IN_PREREQUISITE_STATE) throw error;
    const table = formatTableName(storage);
    throw new DatakitError(
      'SchemaConflict',
      `A publication of the warehouse sends ${table}, and nothing identifies the rows to be changed: run ALTER TABLE ${quoteTable(storage)} REPLICA IDENTITY FULL, which later loads keep`,
      { cause: error },
    );
  }
}
