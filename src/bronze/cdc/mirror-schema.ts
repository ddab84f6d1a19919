import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Relation, RelationColumn } from '../../postgres/replication/pgoutput.ts';
import type { Session } from '../../postgres/session.ts';
import type { BronzeTable } from '../bronze-table.ts';
import { lockExclusively } from '../readers.ts';
import { orSchemaConflict } from '../schema-conflict.ts';
import { widens } from '../type-widening.ts';
import type { KnownColumn } from './tables.ts';

/** What the catalog of the source says of a column now, which may be later than the stream: for hints only. */
export interface LiveColumn {
  readonly number: number;
  /** What rows from before the column was added have in it, as text; null where that is NULL or differs by row. */
  readonly missing: string | null;
  /** Whether new rows get a value by default. */
  readonly hasDefault: boolean;
}

export interface ColumnChanges {
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly added: readonly RelationColumn[];
  readonly retyped: readonly RelationColumn[];
  /** What is known from now on. */
  readonly columns: readonly KnownColumn[];
}

/**
 * What became of the columns of a table, from the last description of it to the one that the stream sends now.
 *
 * A description has no column numbers. The catalog has, and tells a rename from one column dropped
 * and another added; where it has gone on meanwhile, a column at the same place and of the same type counts as renamed.
 */
export function compareColumns(
  known: readonly KnownColumn[],
  relation: Pick<Relation, 'columns'>,
  live: ReadonlyMap<string, LiveColumn>,
): ColumnChanges {
  const names = new Set(relation.columns.map(({ name }) => name));
  const before = new Map(known.map((column) => [column.name, column]));
  const vanished = known.filter(({ name }) => !names.has(name));
  const renamed: { from: string; to: string }[] = [];
  const added: RelationColumn[] = [];
  const retyped: RelationColumn[] = [];
  const columns: KnownColumn[] = [];
  relation.columns.forEach((column, index) => {
    const number = live.get(column.name)?.number;
    const same = before.get(column.name) ?? renamedFrom(vanished, column, number, known[index]);
    if (same === undefined) added.push(column);
    else if (same.name !== column.name) renamed.push({ from: same.name, to: column.name });
    if (same !== undefined && (same.typeOid !== column.typeOid || same.modifier !== column.modifier))
      retyped.push(column);
    const { name, typeOid, modifier } = column;
    columns.push({ name, typeOid, modifier, number: same?.number || number || 0 });
  });
  return { renamed, added, retyped, columns };
}

function renamedFrom(
  vanished: readonly KnownColumn[],
  column: RelationColumn,
  number: number | undefined,
  atSamePlace: KnownColumn | undefined,
): KnownColumn | undefined {
  if (number !== undefined) return vanished.find((candidate) => candidate.number === number);
  return vanished.find(
    (candidate) => candidate.name === atSamePlace?.name && candidate.typeOid === column.typeOid,
  );
}

export interface MirrorChange {
  readonly table: TableName;
  readonly bronze: BronzeTable;
  /** Names of types that do not come with the server, as the stream has told them. */
  readonly types: ReadonlyMap<number, TableName>;
  readonly live: ReadonlyMap<string, LiveColumn>;
  readonly changes: ColumnChanges;
  /** Columns that the bronze table had before, with their types. */
  readonly present: ReadonlyMap<string, string>;
}

/**
 * Changes the columns of a copy as those of the source were changed.
 *
 * @returns why the table must be copied again, where nothing that is known says what became of the rows from before
 * @throws {DatakitError} SchemaConflict where something depends on a column that must change
 */
export async function followColumns(session: Session, change: MirrorChange): Promise<string | undefined> {
  const { changes, bronze, present } = change;
  const { renamed, added, retyped } = changes;
  if (renamed.length + added.length + retyped.length === 0) return undefined;
  await lockExclusively(session, bronze);
  for (const { from, to } of renamed) if (!present.has(to)) await rename(session, bronze, from, to);
  const reasons: string[] = [];
  for (const column of added) reasons.push(...(await add(session, change, column)));
  for (const column of retyped) reasons.push(...(await retype(session, change, column)));
  return reasons.length === 0 ? undefined : reasons.join('; ');
}

async function rename(session: Session, bronze: BronzeTable, from: string, to: string): Promise<void> {
  const columns = `${quoteName(from)} TO ${quoteName(to)}`;
  await session.query(`ALTER TABLE ${quoteTable(bronze)} RENAME COLUMN ${columns}`);
}

/** A column of the name may be there: one that the source dropped earlier. Its old values are not those of the new one. */
async function add(
  session: Session,
  { table, bronze, types, live, present }: MirrorChange,
  column: RelationColumn,
): Promise<string[]> {
  const name = quoteName(column.name);
  const type = await typeInWarehouse(session, column, types);
  const { missing = null, hasDefault = false } = live.get(column.name) ?? {};
  if (present.has(column.name)) {
    const kept = quoteName(`${column.name}_${bronze.oid}`.slice(-60));
    await session.query(`ALTER TABLE ${quoteTable(bronze)} RENAME COLUMN ${name} TO ${kept}`);
  }
  const value = missing === null ? '' : ` DEFAULT ${quoteText(missing)}`;
  await session.query(`ALTER TABLE ${quoteTable(bronze)} ADD COLUMN ${name} ${type}${value}`);
  if (missing !== null)
    await session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${name} DROP DEFAULT`);
  if (missing !== null || !hasDefault) return [];
  return [`column ${name} was added to ${formatTableName(table)} with a default that may differ by row`];
}

async function retype(
  session: Session,
  { table, bronze, types, present }: MirrorChange,
  column: RelationColumn,
): Promise<string[]> {
  const name = quoteName(column.name);
  const type = await typeInWarehouse(session, column, types);
  const before = present.get(column.name) ?? '';
  const fits = widens(before, type);
  const using = fits ? `${name}::${type}` : `NULL::${type}`;
  await orSchemaConflict(
    `Column ${name} of ${bronze.schema}.${bronze.name} must become ${type}, as in the source, and cannot`,
    async () =>
      session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${name} TYPE ${type} USING ${using}`),
  );
  if (fits) return [];
  return [`column ${name} of ${formatTableName(table)} was ${before} and is ${type}`];
}

/** Types of these names point at objects of their own server. */
const POINTS_AT_OBJECTS = /^reg/;

/**
 * The type of a column whose values come as text: the source's own where both servers have it, else text.
 *
 * OIDs of types that come with the server are the same everywhere.
 */
async function typeInWarehouse(
  session: Session,
  { typeOid, modifier }: RelationColumn,
  types: ReadonlyMap<number, TableName>,
): Promise<string> {
  const named = types.get(typeOid);
  if (named !== undefined && named.schema !== 'pg_catalog') return 'text';
  const [found] = await session.query<{ name: string; type: string }>(
    `SELECT typname AS name, format_type(oid, CASE WHEN $3::text IS NULL THEN $2::int ELSE -1 END) AS type FROM pg_catalog.pg_type
      WHERE oid < 16384 AND typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
        AND CASE WHEN $3::text IS NULL THEN oid = $1::oid ELSE typname = $3 END`,
    [typeOid, modifier, named?.name ?? null],
  );
  return found === undefined || POINTS_AT_OBJECTS.test(found.name) ? 'text' : found.type;
}

/** Columns of a key by which the source no longer says which row a change is about. */
export function lostOfKey({ columns }: Pick<Relation, 'columns'>, key: readonly string[]): string[] {
  const identified = new Set(columns.filter(({ isKey }) => isKey).map(({ name }) => name));
  return key.filter((name) => !identified.has(name));
}
