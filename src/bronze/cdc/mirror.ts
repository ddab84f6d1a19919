import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import type { TableName } from '../../contract/table-name.ts';
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
import { equalityOf } from '../equality.ts';
import { captureIndexName, CAPTURE_INDEX } from '../schema/indexes.ts';
import { hasIndex } from '../schema/key-index.ts';
import { orUnidentified } from '../schema/replica-identity.ts';
import { BRONZE, DELETED_AT } from '../layout.ts';
import { lockBriefly } from '../readers.ts';
import type { MirrorBatch, MirrorValue, RowMove } from './mirror-batch.ts';
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
      ['_bronze_loaded_at', 'now()'],
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
 * @throws {DatakitError} LockTimeout
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
    await session.query(`DROP INDEX ${quoteTable(index)}`);
  }
}

type MirroredTable = Pick<CaptureTable, 'mirrored' | 'target'>;

/** Applies the net changes of a batch to a copy. */
export async function applyBatch(session: Session, mirror: Mirror, batch: MirrorBatch): Promise<void> {
  await orUnidentified(mirror.storage, async () => applyStates(session, mirror, batch));
}

async function applyStates(session: Session, mirror: Mirror, batch: MirrorBatch): Promise<void> {
  if (batch.truncated) await removeAll(session, mirror);
  const deleted: Row[] = [];
  const written: Row[] = [];
  const touched = new Map<string, { names: string[]; rows: Row[] }>();
  for (const { key, row } of batch.states.values()) {
    if (row === 'deleted') deleted.push(keyRow(mirror, key));
    else if (!row.includes(undefined)) written.push(rowOf(batch.columns, row));
    else collect(touched, batch.columns, row);
  }
  await remove(session, mirror, deleted);
  await write(session, mirror, batch.columns, written);
  for (const { names, rows } of touched.values()) await touch(session, mirror, names, rows);
}

/**
 * Changes the key of a row whose unsent values only the warehouse has. With soft deletes the row stays under its old key
 * too, marked as deleted, as one does whose values were all sent.
 */
export async function moveRow(
  session: Session,
  mirror: Mirror,
  columns: readonly string[],
  row: RowMove,
): Promise<void> {
  await orUnidentified(mirror.storage, async () => move(session, mirror, columns, row));
}

async function move(
  session: Session,
  mirror: Mirror,
  columns: readonly string[],
  { from, to, values }: RowMove,
): Promise<void> {
  const [oldKey, newKey] = [keyRow(mirror, from), keyRow(mirror, to)];
  // keys of another text can be equal, and then nothing is in the way: 1.0 and 1.00
  const stays = await isSameKey(session, mirror, oldKey, newKey);
  if (!stays) await remove(session, { ...mirror, deletes: 'hard' }, [newKey]);
  const sent = columns.filter((_, index) => values[index] !== undefined);
  const table = quoteTable(mirror.storage);
  const given = `${recordset(sent)}, ${recordset(mirror.key, 'old', 2)}`;
  const keepsOld = mirror.deletes === 'soft' && !stays;
  const statement = keepsOld
    ? `INSERT INTO ${table} (${writtenNames(mirror, columns).join(', ')})
       SELECT ${writtenValues(mirror, columns, new Set(sent))} FROM ${table} AS t, ${given} WHERE ${matching(mirror, 'old')}`
    : `UPDATE ${table} AS t SET ${assignments(mirror, sent)} FROM ${given} WHERE ${matching(mirror, 'old')}`;
  await session.query(statement, [JSON.stringify([rowOf(columns, values)]), JSON.stringify([oldKey])]);
  if (keepsOld) await remove(session, mirror, [oldKey]);
}

async function isSameKey(session: Session, mirror: Mirror, one: Row, other: Row): Promise<boolean> {
  const same = mirror.key.map(
    (name) => `${read(mirror, name)} ${equalityOf(typeOf(mirror, name))} ${read(mirror, name, 'y')}`,
  );
  const answer = await session.one<{ same: boolean }>(
    `SELECT ${same.join(' AND ')} AS same FROM ${recordset(mirror.key)}, ${recordset(mirror.key, 'y', 2)}`,
    [JSON.stringify([one]), JSON.stringify([other])],
  );
  return answer.same;
}

/** Values are text, so that none passes through a JavaScript number. */
type Row = Record<string, string | null>;

function rowOf(columns: readonly string[], values: readonly MirrorValue[]): Row {
  // without a prototype, so that a column may have any name
  const row: Row = { __proto__: null };
  columns.forEach((name, index) => {
    const value = values[index];
    if (value !== undefined) row[name] = value;
  });
  return row;
}

function keyRow({ key }: Mirror, values: readonly (string | null)[]): Row {
  return Object.fromEntries(key.map((name, index) => [name, values[index] ?? null]));
}

/** Groups updates that sent the same columns, to run as one statement. */
function collect(
  touched: Map<string, { names: string[]; rows: Row[] }>,
  columns: readonly string[],
  state: readonly MirrorValue[],
): void {
  const row = rowOf(columns, state);
  const names = Object.keys(row);
  const sent = JSON.stringify(names);
  const group = touched.get(sent) ?? { names, rows: [] };
  group.rows.push(row);
  touched.set(sent, group);
}

async function removeAll(session: Session, { storage, deletes }: Mirror): Promise<void> {
  const table = quoteTable(storage);
  if (deletes === 'hard') await session.query(`DELETE FROM ${table}`);
  else await session.query(`UPDATE ${table} SET _bronze_deleted_at = now() WHERE _bronze_deleted_at IS NULL`);
}

async function remove(session: Session, mirror: Mirror, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const table = quoteTable(mirror.storage);
  const from = recordset(mirror.key);
  const statement =
    mirror.deletes === 'hard'
      ? `DELETE FROM ${table} AS t USING ${from} WHERE ${matching(mirror)}`
      : `UPDATE ${table} AS t SET _bronze_deleted_at = now() FROM ${from}
          WHERE ${matching(mirror)} AND t._bronze_deleted_at IS NULL`;
  await session.query(statement, [JSON.stringify(rows)]);
}

async function write(
  session: Session,
  mirror: Mirror,
  columns: readonly string[],
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const names = writtenNames(mirror, columns);
  const set = names.map((name) => `${name} = excluded.${name}`);
  await session.query(
    `INSERT INTO ${quoteTable(mirror.storage)} (${names.join(', ')})
     SELECT ${writtenValues(mirror, columns, new Set(columns))} FROM ${recordset(columns)}
     ON CONFLICT (${mirror.key.map(quoteName).join(', ')}) DO UPDATE SET ${set.join(', ')}`,
    [JSON.stringify(rows)],
  );
}

async function touch(
  session: Session,
  mirror: Mirror,
  names: readonly string[],
  rows: readonly Row[],
): Promise<void> {
  await session.query(
    `UPDATE ${quoteTable(mirror.storage)} AS t SET ${assignments(mirror, names)} FROM ${recordset(names)} WHERE ${matching(mirror)}`,
    [JSON.stringify(rows)],
  );
}

const recordset = (names: readonly string[], alias = 'x', parameter = 1): string =>
  `json_to_recordset($${parameter}::json) AS ${alias}(${names.map((name) => `${quoteName(name)} text`).join(', ')})`;

function typeOf({ types }: Mirror, name: string): string {
  const type = types.get(name);
  if (type === undefined) throw new DatakitError('Unexpected', `the copy has no column ${quoteName(name)}`);
  return type;
}

const read = (mirror: Mirror, name: string, from = 'x'): string =>
  `${from}.${quoteName(name)}::${typeOf(mirror, name)}`;

/** Returns SQL that assigns the sent values, and the metadata of rows that are written. */
const assignments = (mirror: Mirror, sent: readonly string[]): string =>
  [
    ...sent.map((name) => `${quoteName(name)} = ${read(mirror, name)}`),
    ...[...mirror.constants].map(([name, value]) => `${name} = ${value}`),
  ].join(', ');

const writtenNames = ({ constants }: Mirror, columns: readonly string[]): string[] => [
  ...columns.map(quoteName),
  ...constants.keys(),
];

/** Returns SQL for the values of a row that is written: those that were not sent are those of the row `t`. */
const writtenValues = (mirror: Mirror, columns: readonly string[], sent: ReadonlySet<string>): string =>
  [
    ...columns.map((name) => (sent.has(name) ? read(mirror, name) : `t.${quoteName(name)}`)),
    ...mirror.constants.values(),
  ].join(', ');

const matching = (mirror: Mirror, from = 'x'): string =>
  mirror.key
    .map((name) => `t.${quoteName(name)} ${equalityOf(typeOf(mirror, name))} ${read(mirror, name, from)}`)
    .join(' AND ');
