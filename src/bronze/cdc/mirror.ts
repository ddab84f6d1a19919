import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import {
  addColumns,
  findBronzeTable,
  missingColumns,
  readColumnDefinitions,
  type BronzeTable,
  type ColumnDefinition,
} from '../schema/bronze-table.ts';
import { CAPTURE_INDEX } from '../schema/indexes.ts';
import { orSchemaConflict } from '../schema/schema-conflict.ts';
import { hasIndex } from '../schema/key-index.ts';
import { BRONZE, captureIndexName, DELETED_AT, LOADED_AT } from '../layout.ts';
import { lockBriefly } from '../readers.ts';
import type { CaptureTable } from './tables.ts';

export type DeletePolicy = 'hard' | 'soft';

/** A copy that changes are applied to. */
export interface Mirror {
  readonly bronze: BronzeTable;
  /** The partition of the bronze table, which has the rows and the index on the key. */
  readonly storage: TableName;
  /** By name, including metadata columns. */
  readonly types: ReadonlyMap<string, string>;
  readonly key: readonly string[];
  readonly deletes: DeletePolicy;
  /** SQL for the metadata columns of rows that are written. */
  readonly constants: ReadonlyMap<string, string>;
}

export interface MirrorOrigin {
  readonly target: string;
  readonly key: readonly string[];
  /** Columns of the source that it has. */
  readonly columns: readonly string[];
  readonly deletes: DeletePolicy;
  readonly sourceUri: string;
  readonly table: TableName;
  readonly runId: string;
}

/** A copy that changes cannot be applied to, since somebody dropped it or a part of it. The message is a clause. */
export class CopyLost extends DatakitError {
  constructor(message: string) {
    super('UndefinedObject', message);
  }
}

/** @throws {CopyLost} */
export async function openMirror(session: Session, origin: MirrorOrigin): Promise<Mirror> {
  const bronze = await findBronzeTable(session, origin.target);
  if (bronze?.storage === undefined) throw new CopyLost(`${BRONZE}.${origin.target} was dropped`);
  const present = await readColumnDefinitions(session, bronze.storage);
  const lost = origin.columns.filter((column) => !present.some(({ name }) => name === column));
  if (lost.length > 0) {
    throw new CopyLost(`${BRONZE}.${origin.target} lost ${listed(lost.map(quoteName), 5)}`);
  }
  const columns = origin.deletes === 'soft' ? await withDeletedAt(session, bronze, present) : present;
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const constants = new Map(
    [
      [LOADED_AT, 'now()'],
      ['_bronze_source', quoteText(origin.sourceUri)],
      ['_bronze_schema', quoteText(origin.table.schema)],
      ['_bronze_table', quoteText(origin.table.name)],
      ['_bronze_parent_table', quoteText(origin.table.name)],
      ['_bronze_run_id', quoteText(origin.runId)],
      ['_bronze_extraction_type', `'changes'`],
      [DELETED_AT.name, 'NULL'],
    ].filter((constant): constant is [string, string] => types.has(constant[0] ?? '')),
  );
  return { bronze, storage: bronze.storage, types, key: origin.key, deletes: origin.deletes, constants };
}

/** Returns those of the targets that somebody dropped. */
export async function findDropped(
  session: Session,
  targets: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ target: string }>(
    `SELECT target FROM unnest($1::text[]) AS target WHERE to_regclass(format('%I.%I', $2::text, target)) IS NULL`,
    [targets, BRONZE],
  );
  return new Set(rows.map(({ target }) => target));
}

/** Ensures the unique index by which rows are found. */
export async function prepareMirror(session: Session, target: string, key: readonly string[]): Promise<void> {
  const bronze = await findBronzeTable(session, target);
  if (bronze?.storage === undefined)
    throw new DatakitError('StagingLost', `${BRONZE}.${target} was dropped during the run`);
  if (await hasIndex(session, bronze.storage, key, true)) return;
  const columns = key.map(quoteName).join(', ');
  const name = quoteName(captureIndexName(bronze.storage));
  await session.query(`CREATE UNIQUE INDEX ${name} ON ${quoteTable(bronze.storage)} (${columns})`);
}

/** Adds the column for soft deletes to the copy of a capture that was started without them. */
async function withDeletedAt(
  session: Session,
  bronze: BronzeTable,
  present: readonly ColumnDefinition[],
): Promise<readonly ColumnDefinition[]> {
  const missing = missingColumns([DELETED_AT], present);
  if (missing.length === 0) return present;
  await lockBriefly(session, bronze);
  await addColumns(session, bronze, missing);
  return [...present, ...missing];
}

/**
 * Drops the indexes on keys of copies that changes are no longer applied to: other runs may keep several rows of a key.
 *
 * @throws {DatakitError} LockTimeout; SchemaConflict if a foreign key that people made refers to it
 */
export async function forgetKeys(session: Session, tables: readonly MirroredTable[]): Promise<void> {
  const targets = tables.flatMap(({ mirrored, target }) => (mirrored && target !== null ? [target] : []));
  const found = await session.query<{ storage: TableName; index: TableName }>(
    `SELECT jsonb_build_object('schema', n.nspname, 'name', s.relname) AS storage,
            jsonb_build_object('schema', n.nspname, 'name', x.relname) AS index
       FROM unnest($1::text[]) AS target
       JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = to_regclass(format('%I.%I', $2::text, target))
       JOIN pg_catalog.pg_class s ON s.oid = p.partdefid
       JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
       JOIN pg_catalog.pg_index i ON i.indrelid = s.oid
       JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND x.relname ~ $3`,
    [[...new Set(targets)], BRONZE, CAPTURE_INDEX],
  );
  for (const { storage, index } of found) {
    await lockBriefly(session, storage);
    await orSchemaConflict(`The key of ${formatTableName(storage)} cannot be given up`, async () =>
      session.query(`DROP INDEX ${quoteTable(index)}`),
    );
  }
}

type MirroredTable = Pick<CaptureTable, 'mirrored' | 'target'>;
