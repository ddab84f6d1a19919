import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { Storage } from './bronze-table.ts';
import { stagingIndexName } from './indexes.ts';
import { orSchemaConflict } from './schema-conflict.ts';

interface Constraint {
  readonly name: string;
  /** `key` takes an index that is built already; an exclusion constraint makes its own. */
  readonly kind: 'check' | 'key' | 'exclusion';
  /** Of a key without its columns: those of its index. */
  readonly definition: string;
  /** `DEFERRABLE INITIALLY DEFERRED`; empty for what is checked at once. */
  readonly timing: string;
  /** OID of the index behind it; 0 for a check. */
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
    await orSchemaConflict(
      `Column ${quoteName(column)} of the bronze table is NOT NULL, and new rows have no value for it`,
      async () => session.query(`${alter} ALTER COLUMN ${quoteName(column)} SET NOT NULL`),
    );
  }
  for (const { name, kind, definition, timing, indexOid } of await readConstraints(session, storage)) {
    const index = quoteName(stagingIndexName(staging, indexOid));
    const clause = {
      check: `${quoteName(name)} ${definition}`,
      key: `${index} ${definition} USING INDEX ${index} ${timing}`,
      exclusion: `${index} ${definition}`,
    }[kind];
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

/** Leaves out what PostgreSQL itself gives a partition: foreign keys and exclusion constraints of its parent. */
async function readConstraints(session: Session, table: { readonly oid: number }): Promise<Constraint[]> {
  return session.query<Constraint & Record<string, unknown>>(
    `SELECT c.conname AS name, c.conindid AS "indexOid",
            CASE WHEN c.contype = 'c' THEN 'check' WHEN i.indisexclusion THEN 'exclusion' ELSE 'key' END AS kind,
            CASE WHEN c.contype = 'c' OR i.indisexclusion THEN pg_get_constraintdef(c.oid)
                 WHEN c.contype = 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS definition,
            CASE WHEN c.condeferrable THEN 'DEFERRABLE' ELSE '' END
              || CASE WHEN c.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END AS timing
       FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.conindid
      WHERE c.conrelid = $1 AND c.contype IN ('c', 'p', 'u', 'x') AND NOT (i.indisexclusion AND c.conparentid <> 0) IS TRUE
      ORDER BY c.oid`,
    [table.oid],
  );
}
