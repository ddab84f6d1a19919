import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { Storage } from './bronze-table.ts';
import { orSchemaConflict } from './schema-conflict.ts';

interface Index {
  readonly oid: number;
  readonly name: string;
  readonly unique: boolean;
  /** From ` USING` on. */
  readonly definition: string;
  /** True if it is a partition's part of an index on the parent. */
  readonly ofParent: boolean;
  /** True if an exclusion constraint makes it. */
  readonly ofExclusion: boolean;
}

/**
 * Builds the indexes of the current partition on a loaded staging table, before any reader has to wait.
 *
 * At the exchange PostgreSQL finds those that the parent requires and adopts them as they are.
 *
 * @throws {DatakitError} SchemaConflict if one cannot be built: not unique, too wide, of another type
 */
export async function buildIndexes(
  session: Session,
  storage: Storage | undefined,
  staging: TableName,
): Promise<void> {
  if (storage === undefined) return;
  for (const index of await readIndexes(session, storage)) {
    if (index.ofExclusion) continue;
    const unique = index.unique ? 'UNIQUE ' : '';
    const name = quoteName(stagingIndexName(staging, index.oid));
    await orSchemaConflict(
      `The new rows do not fit the index ${quoteName(index.name)} of the bronze table`,
      async () => session.query(`CREATE ${unique}INDEX ${name} ON ${quoteTable(staging)}${index.definition}`),
    );
  }
}

/** Returns indexes made on the partition itself, whose names are restored once the old partition is gone. */
export async function readOwnIndexes(session: Session, storage: Storage): Promise<Index[]> {
  return (await readIndexes(session, storage)).filter(({ ofParent }) => !ofParent);
}

export async function restoreIndexNames(
  session: Session,
  indexes: readonly Index[],
  staging: TableName,
  schema: string,
): Promise<void> {
  for (const index of indexes) {
    const current = { schema, name: stagingIndexName(staging, index.oid) };
    await session.query(`ALTER INDEX IF EXISTS ${quoteTable(current)} RENAME TO ${quoteName(index.name)}`);
  }
}

/** Names the index that an incremental run makes for itself. Not copied: a load that needs one makes its own. */
export const keyIndexName = (planId: string): string => `plan_${planId}_by_key`;
export const isKeyIndex = (name: string): boolean => /^plan_\d+_by_key$/.test(name);

/** Names the index that a run makes for itself to find the rows of a partition. */
export const partitionIndexName = (planId: string): string => `plan_${planId}_by_partition`;

/**
 * A regular expression for the name of the index by which a capture finds the rows of its copy. Not copied either: each
 * copy gets its own. In earlier versions it had the OID of the partition, which is another's in a warehouse that was moved.
 */
export const CAPTURE_INDEX = '^capture_key_([0-9]+$|of_)';

/** Names the counterpart of an index until it is attached. */
export const stagingIndexName = (staging: TableName, oid: number): string => `${staging.name}_index_${oid}`;

async function readIndexes(session: Session, table: TableName & { readonly oid: number }): Promise<Index[]> {
  return session.query<Index & Record<string, unknown>>(
    `SELECT i.indexrelid AS oid, c.relname AS name, i.indisunique AS unique,
            substr(pg_get_indexdef(i.indexrelid),
                   length(format('CREATE %sINDEX %I ON %I.%I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END,
                                 c.relname, n.nspname, t.relname)) + 1) AS definition,
            EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid) AS "ofParent",
            i.indisexclusion AS "ofExclusion"
       FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
       JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
      WHERE i.indrelid = $1 AND i.indisvalid AND c.relname !~ '^plan_[0-9]+_by_(key|partition)$' AND c.relname !~ '${CAPTURE_INDEX}'
      ORDER BY i.indexrelid`,
    [table.oid],
  );
}
