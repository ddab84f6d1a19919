import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';

/** A column of a table as the changes that were written last had it. */
export interface KnownColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly modifier: number;
  /** Its number in the table of the source, which stays when it is renamed; 0 where that is not known. */
  readonly number: number;
  /** Another one whenever the source has written the definition of the column; absent where that is not known. */
  readonly version?: string;
}

/** What the catalog of the source says of a table besides its columns. */
export interface CatalogEntry {
  readonly oid: number;
  /** The file that has its rows, or those of each partition, by OID: another one where the rows were written anew. */
  readonly files: Readonly<Record<string, number>>;
  /** The highest number that a column of it has or had. */
  readonly width: number;
}

/** Stands for the OID of a captured table that has another name for a while: its copy lacks what was changed meanwhile. */
export const NAMED_OTHERWISE = 0;

/** A table of a capture. */
export interface CaptureTable extends TableName {
  /** Its copy, in the schema bronze; null where none was made. */
  readonly target: string | null;
  readonly status: 'copying' | 'live' | 'logged';
  /** Transactions that commit before it are in the copy; null where all that is sent is wanted. */
  readonly copiedAt: string | null;
  /** Whether changes are applied to the copy. */
  readonly mirrored: boolean;
  readonly key: readonly string[];
  readonly columns: readonly KnownColumn[] | null;
  /** As it was when the columns were read; null where that is not known. */
  readonly catalog: CatalogEntry | null;
  readonly runId: string | null;
  /** By what the publication sent it when that was last looked at; null where it was not, or did not. */
  readonly membership: string | null;
}

export async function readTables(session: Session, captureId: string): Promise<CaptureTable[]> {
  return session.query<CaptureTable & Record<string, unknown>>(
    `SELECT schema, "table" AS name, target, status, copied_at::text AS "copiedAt", mirrored, key, columns, catalog,
            run_id AS "runId", membership
       FROM ${BRONZE}.cdc_tables WHERE capture_id = $1 ORDER BY schema, "table"`,
    [captureId],
  );
}

export type NewTable = Pick<CaptureTable, 'schema' | 'name' | 'target' | 'status' | 'mirrored' | 'key'>;

export async function addTables(
  session: Session,
  captureId: string,
  tables: readonly NewTable[],
): Promise<void> {
  for (const { schema, name, target, status, mirrored, key } of tables) {
    await session.query(
      `INSERT INTO ${BRONZE}.cdc_tables (capture_id, schema, "table", target, status, mirrored, key)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
      [captureId, schema, name, target, status, mirrored, JSON.stringify(key)],
    );
  }
}

export async function removeTables(
  session: Session,
  captureId: string,
  tables: readonly TableName[],
): Promise<void> {
  for (const { schema, name } of tables) {
    await session.query(
      `DELETE FROM ${BRONZE}.cdc_tables WHERE capture_id = $1 AND schema = $2 AND "table" = $3`,
      [captureId, schema, name],
    );
  }
}

/** Where the snapshot is that all tables are copied from whose copy is not done. */
export async function recordSnapshot(session: Session, captureId: string, lsn: string): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET copied_at = $2 WHERE capture_id = $1 AND status = 'copying'`,
    [captureId, lsn],
  );
}

export async function recordCopied(
  session: Session,
  captureId: string,
  { schema, name }: TableName,
  runId: string,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET status = 'live', run_id = $4
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3`,
    [captureId, schema, name, runId],
  );
}

/** A copy that is of no use any more is made again. */
export async function recordCopying(
  session: Session,
  captureId: string,
  { schema, name }: TableName,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET status = 'copying', copied_at = NULL
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3`,
    [captureId, schema, name],
  );
}

/** What of a table is known from the source. */
export interface Description extends Pick<CaptureTable, 'key' | 'catalog'> {
  readonly columns: readonly KnownColumn[];
  /** As it was where left out. */
  readonly membership?: string;
}

/**
 * One statement: a row that is updated twice in a transaction has its foreign key checked, which would wait for the
 * transaction of the stream that has locked the position.
 */
export async function recordDescription(
  session: Session,
  captureId: string,
  { schema, name }: TableName,
  { columns, key, catalog, membership }: Description,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET columns = $4, key = $5, catalog = $6, membership = coalesce($7, membership)
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3`,
    [
      captureId,
      schema,
      name,
      JSON.stringify(columns),
      JSON.stringify(key),
      JSON.stringify(catalog),
      membership,
    ],
  );
}

export async function recordMembership(
  session: Session,
  captureId: string,
  { schema, name }: TableName,
  membership: string | null,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET membership = $4 WHERE capture_id = $1 AND schema = $2 AND "table" = $3`,
    [captureId, schema, name, membership],
  );
}

/**
 * SQL that gives the slot whose changes are applied to a bronze table, NULL where there is none; `target` is SQL too,
 * in which names of the query around it mean what they mean there.
 */
export const mirrorOf = (target: string): string =>
  `(SELECT cdc_p.slot FROM ${BRONZE}.cdc_tables cdc_t JOIN ${BRONZE}.cdc_positions cdc_p USING (capture_id)
     WHERE cdc_t.target = ${target} AND cdc_t.mirrored AND cdc_t.status = 'live' AND cdc_p.status <> 'dropped' LIMIT 1)`;
