import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { Storage } from './bronze-table.ts';
import { stagingIndexName } from './indexes.ts';
import { orSchemaConflict } from './schema-conflict.ts';

interface Constraint {
  readonly name: string;
  readonly kind: 'check' | 'key';
  /** Of a key without its columns: those of its index. */
  readonly definition: string;
  /** `DEFERRABLE INITIALLY DEFERRED`; empty for what is checked at once. */
  readonly timing: string;
  /** OID of the index behind a key. */
  readonly indexOid: number;
}

/**
 * Adds the constraints of the current partition to a loaded staging table, before any reader has to wait.
 *
 * PostgreSQL attaches no partition that lacks a NOT NULL or a CHECK of its parent.
 *
 * @throws {DatakitError} SchemaConflict if the new rows violate one
 */
export async function addConstraints(
  session: Session,
  storage: Storage | undefined,
  staging: TableName,
): Promise<void> {
  if (storage === undefined) return;
  const alter = `ALTER TABLE ${quoteTable(staging)}`;
  for (const column of await readNotNull(session, storage)) {
    await orSchemaConflict(`Column ${quoteName(column)} of the bronze table is NOT NULL`, async () =>
      session.query(`${alter} ALTER COLUMN ${quoteName(column)} SET NOT NULL`),
    );
  }
  for (const { name, kind, definition, timing, indexOid } of await readConstraints(session, storage)) {
    const index = stagingIndexName(staging, indexOid);
    const clause =
      kind === 'check'
        ? `${quoteName(name)} ${definition}`
        : `${quoteName(index)} ${definition} USING INDEX ${quoteName(index)} ${timing}`;
    await orSchemaConflict(
      `The new rows do not fit the constraint ${quoteName(name)} of the bronze table`,
      async () => session.query(`${alter} ADD CONSTRAINT ${clause}`),
    );
  }
}

async function readNotNull(session: Session, table: { readonly oid: number }): Promise<string[]> {
  const columns = await session.query<{ name: string }>(
    `SELECT attname AS name FROM pg_catalog.pg_attribute
      WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attnotnull ORDER BY attnum`,
    [table.oid],
  );
  return columns.map(({ name }) => name);
}

/** Leaves out foreign keys: PostgreSQL itself gives a partition those of its parent. */
async function readConstraints(session: Session, table: { readonly oid: number }): Promise<Constraint[]> {
  return session.query<Constraint & Record<string, unknown>>(
    `SELECT conname AS name, CASE contype WHEN 'c' THEN 'check' ELSE 'key' END AS kind, conindid AS "indexOid",
            CASE contype WHEN 'c' THEN pg_get_constraintdef(oid)
                         WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS definition,
            CASE WHEN condeferrable THEN 'DEFERRABLE' ELSE '' END
              || CASE WHEN condeferred THEN ' INITIALLY DEFERRED' ELSE '' END AS timing
       FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype IN ('c', 'p', 'u') ORDER BY oid`,
    [table.oid],
  );
}
