import { DatakitError } from '../../contract/failures.ts';
import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { RelationColumn } from '../../postgres/replication/pgoutput.ts';
import type { Session } from '../../postgres/session.ts';
import { addColumns, type BronzeTable } from '../schema/bronze-table.ts';
import { droppedColumn, isMetadata } from '../layout.ts';
import { lockBriefly } from '../readers.ts';
import { orSchemaConflict } from '../schema/schema-conflict.ts';
import { widens } from '../schema/type-widening.ts';
import type { AddedColumn, ColumnChanges } from './compare-columns.ts';

export interface MirrorChange {
  readonly bronze: BronzeTable;
  /** Names, as the stream sent them, of types without a fixed OID. */
  readonly types: ReadonlyMap<number, TableName>;
  /** That of the source's database. */
  readonly encoding: string;
  readonly changes: ColumnChanges;
  /** The previous columns of the bronze table, with their types. */
  readonly present: ReadonlyMap<string, string>;
}

/**
 * Applies column changes of the source to a copy.
 *
 * @returns why the table must be copied again, where values in existing rows are unknown; each ends a sentence
 * @throws {DatakitError} InvalidInput if a column has a name of ours; SchemaConflict if something depends on a column
 *   that must change, or the copy has no room for another
 */
export async function followColumns(session: Session, change: MirrorChange): Promise<string[]> {
  const { renamed, added, retyped, doubts } = change.changes;
  if (renamed.length + added.length + retyped.length === 0) return [...doubts];
  for (const name of [...renamed.map(({ to }) => to), ...added.map((column) => column.name)]) {
    requireFree(name, change);
  }
  await lockBriefly(session, change.bronze);
  for (const { from, to } of renamed) await rename(session, change, from, to);
  for (const column of added) await add(session, change, column);
  const reasons = [...doubts];
  for (const column of retyped) reasons.push(...(await retype(session, change, column)));
  return reasons;
}

/**
 * Refuses a column with a name of our own, as a plan does.
 *
 * @throws {DatakitError} InvalidInput
 */
function requireFree(name: string, { bronze }: MirrorChange): void {
  if (!isMetadata(name)) return;
  throw new DatakitError(
    'InvalidInput',
    `The source table of ${bronze.schema}.${bronze.name} has a column ${quoteName(name)}, which is the name of a metadata column: rename it in the source, or remove the table from the capture`,
  );
}

async function rename(session: Session, change: MirrorChange, from: string, to: string): Promise<void> {
  await setAside(session, change, to);
  const columns = `${quoteName(from)} TO ${quoteName(to)}`;
  await session.query(`ALTER TABLE ${quoteTable(change.bronze)} RENAME COLUMN ${columns}`);
}

async function add(session: Session, change: MirrorChange, column: AddedColumn): Promise<void> {
  const { bronze } = change;
  const { name, missing } = column;
  await setAside(session, change, name);
  const type = await typeInWarehouse(session, column, change);
  const filling = missing === null ? '' : `DEFAULT ${quoteText(missing)}`;
  await addColumns(session, bronze, [{ name, type, filling }]);
  if (missing === null) return;
  await session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${quoteName(name)} DROP DEFAULT`);
}

/** Renames a column that has the name already: one that the source dropped, whose values are not the new one's. */
async function setAside(session: Session, { bronze, present }: MirrorChange, name: string): Promise<void> {
  if (!present.has(name)) return;
  let number = 1;
  while (present.has(droppedColumn(name, number))) number += 1;
  const columns = `${quoteName(name)} TO ${quoteName(droppedColumn(name, number))}`;
  await session.query(`ALTER TABLE ${quoteTable(bronze)} RENAME COLUMN ${columns}`);
}

async function retype(session: Session, change: MirrorChange, column: RelationColumn): Promise<string[]> {
  const { bronze, present, changes } = change;
  const name = quoteName(column.name);
  const type = await typeInWarehouse(session, column, change);
  const from = changes.renamed.find(({ to }) => to === column.name)?.from ?? column.name;
  const before = present.get(from) ?? '';
  const fits = widens(before, type);
  const using = fits ? `${name}::${type}` : `NULL::${type}`;
  await orSchemaConflict(
    `Column ${name} of ${bronze.schema}.${bronze.name} cannot be changed to ${type}, its type in the source`,
    async () =>
      session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${name} TYPE ${type} USING ${using}`),
  );
  // the rewrite for a wider type may have come with an expression: USING n * 100
  return fits && !changes.rewritten ? [] : [`column ${name} was ${before} and is ${type}`];
}

/** Types with these names refer to objects of their own server. */
const POINTS_AT_OBJECTS = /^reg/;

/**
 * Returns the type of a column whose values come as text: the source's own if both servers have it, else text.
 *
 * Types that the stream does not name are built in, and have the same OID everywhere.
 */
async function typeInWarehouse(
  session: Session,
  { typeOid, modifier }: RelationColumn,
  { types, encoding }: MirrorChange,
): Promise<string> {
  const named = types.get(typeOid);
  if (named !== undefined && named.schema !== 'pg_catalog') return 'text';
  const [found] = await session.query<{ name: string; type: string; isEncodedAlike: boolean }>(
    `SELECT typname AS name, current_setting('server_encoding') = $4 AS "isEncodedAlike",
            format_type(oid, CASE WHEN $3::text IS NULL THEN $2::int ELSE -1 END) AS type FROM pg_catalog.pg_type
      WHERE oid < 16384 AND typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
        AND CASE WHEN $3::text IS NULL THEN oid = $1::oid ELSE typname = $3 END`,
    [typeOid, modifier, named?.name ?? null, encoding],
  );
  if (found === undefined || POINTS_AT_OBJECTS.test(found.name)) return 'text';
  // a name would be cut where its characters have more than 63 bytes
  return found.isEncodedAlike ? found.type : found.type.replace(/^name\b/, 'text');
}
