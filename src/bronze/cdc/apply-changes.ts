import { affectsEveryTable, DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { equalityOf } from '../equality.ts';
import { DELETED_AT } from '../layout.ts';
import { orUnidentified } from '../schema/replica-identity.ts';
import { orConstrained } from '../schema/schema-conflict.ts';
import type { MirrorBatch, MirrorValue, RowMove } from './mirror-batch.ts';
import type { Mirror } from './mirror.ts';

/** Applies the net changes of a batch to a copy. */
export async function applyBatch(session: Session, mirror: Mirror, batch: MirrorBatch): Promise<void> {
  await writing(mirror, async () => applyStates(session, mirror, batch));
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
  await writing(mirror, async () => move(session, mirror, columns, row));
}

/** @throws {DatakitError} SchemaConflict if what people made in the warehouse does not allow it */
const writing = async ({ storage, bronze }: Mirror, work: () => Promise<void>): Promise<void> =>
  naming(bronze, async () => orUnidentified(storage, async () => orConstrained(work)));

/** Names the copy in what fails for it alone, since a capture has hundreds, and the server does not. */
async function naming(bronze: TableName, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof DatakitError) || affectsEveryTable(error.kind)) throw error;
    const { kind, message } = error;
    const advice = error.advice ?? (kind === 'InvalidValue' ? TAKE_VALUES : undefined);
    throw new DatakitError(kind, `Changes could not be applied to ${formatTableName(bronze)}: ${message}`, {
      cause: error,
      ...(advice !== undefined && { advice }),
    });
  }
}

/** They fit when it was made. */
const TAKE_VALUES =
  'Let the bronze table take the values of the source again, or drop it: with its next change it is copied again.';

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
  else await session.query(`UPDATE ${table} SET ${DELETED_AT.name} = now() WHERE ${DELETED_AT.name} IS NULL`);
}

async function remove(session: Session, mirror: Mirror, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const table = quoteTable(mirror.storage);
  const from = recordset(mirror.key);
  const statement =
    mirror.deletes === 'hard'
      ? `DELETE FROM ${table} AS t USING ${from} WHERE ${matching(mirror)}`
      : `UPDATE ${table} AS t SET ${DELETED_AT.name} = now() FROM ${from}
          WHERE ${matching(mirror)} AND t.${DELETED_AT.name} IS NULL`;
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
