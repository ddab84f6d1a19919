import type { CapturedTable } from '../../contract/capture-activities.ts';
import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';

/** A column of a table as of the last changes written. */
export interface KnownColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly modifier: number;
  /** Its attribute number in the source, which a rename does not change; 0 if unknown. */
  readonly number: number;
  /** Changes whenever the source writes the column's definition; absent if unknown. */
  readonly version?: string;
  /**
   * What the text of its values depends on beside them, by OID: labels of enums, attributes of composites; absent if
   * there is nothing, or if it is unknown.
   */
  readonly parts?: Readonly<Record<string, string>>;
}

/** A table as the source's catalog has it, except for its columns. */
export interface CatalogEntry {
  readonly oid: number;
  /** The file that has its rows, or those of each partition, by OID: a rewrite changes it. */
  readonly files: Readonly<Record<string, number>>;
  /** The highest attribute number in use now or earlier. */
  readonly width: number;
}

/** Replaces the OID of a captured table while it has another name: its copy lacks the changes of that time. */
export const NAMED_OTHERWISE = 0;

/** The membership of a table that its publication does not send. */
export const NOT_SENT = '';

/** A table of a capture. */
export interface CaptureTable extends TableName {
  /** Its copy, in the schema bronze; null if there is none. */
  readonly target: string | null;
  readonly status: 'copying' | 'live' | 'logged';
  /** Transactions that commit before it are in the copy; null if every change sent is wanted. */
  readonly copiedAt: string | null;
  /** Transactions that commit before it are in the first copy and not in the log; null before there is a snapshot. */
  readonly logFrom: string | null;
  /** Position of the capture when the table was added; null if it began with it. */
  readonly addedAt: string | null;
  /** True if changes are applied to the copy. */
  readonly mirrored: boolean;
  readonly key: readonly string[];
  readonly columns: readonly KnownColumn[] | null;
  /** As of when the columns were read; null if unknown. */
  readonly catalog: CatalogEntry | null;
  readonly runId: string | null;
  /** Identifies its membership in the publication when last checked, or is `NOT_SENT`; null if never checked. */
  readonly membership: string | null;
}

const OF_CAPTURE = `SELECT schema, "table" AS name, target, status, copied_at::text AS "copiedAt", mirrored, key, columns, catalog,
                           run_id AS "runId", membership, log_from::text AS "logFrom", added_at::text AS "addedAt"
                      FROM ${BRONZE}.cdc_tables WHERE capture_id = $1`;

export async function readTables(session: Session, captureId: string): Promise<CaptureTable[]> {
  return session.query<CaptureTable & Record<string, unknown>>(`${OF_CAPTURE} ORDER BY schema, "table"`, [
    captureId,
  ]);
}

/** Returns a table of a capture, which may have thousands of others; undefined if it does not have this one. */
export async function readTable(
  session: Session,
  captureId: string,
  { schema, name }: TableName,
): Promise<CaptureTable | undefined> {
  const tables = await session.query<CaptureTable & Record<string, unknown>>(
    `${OF_CAPTURE} AND schema = $2 AND "table" = $3`,
    [captureId, schema, name],
  );
  return tables[0];
}

export type NewTable = Pick<CaptureTable, 'schema' | 'name' | 'target' | 'status' | 'mirrored' | 'key'>;

/** Returns tables as the workflow of their capture knows them. */
export const asCaptured = (
  tables: readonly Pick<CaptureTable, 'schema' | 'name' | 'status'>[],
): CapturedTable[] =>
  tables.map(({ schema, name, status }) => ({ schema, name, copying: status === 'copying' }));

/** The `logFrom` of a table whose log is complete whatever its copy has. */
export const ALL_IS_LOGGED = '0/0';

/** Where the log of an added table begins, and what it is in the catalog of the source, if that is known. */
export type Addition = Partial<Pick<CaptureTable, 'logFrom' | 'addedAt' | 'catalog'>>;

export async function addTables(
  session: Session,
  captureId: string,
  tables: readonly (NewTable & Addition)[],
): Promise<void> {
  await session.query(
    `INSERT INTO ${BRONZE}.cdc_tables (capture_id, schema, "table", target, status, mirrored, key, log_from, added_at, catalog)
     SELECT $1, schema, name, target, status, mirrored, key, "logFrom", "addedAt", catalog
       FROM json_to_recordset($2) AS added(schema text, name text, target text, status text, mirrored boolean, key jsonb,
                                           "logFrom" pg_lsn, "addedAt" pg_lsn, catalog jsonb)
         ON CONFLICT DO NOTHING`,
    [captureId, JSON.stringify(tables)],
  );
}

export async function removeTables(
  session: Session,
  captureId: string,
  tables: readonly TableName[],
): Promise<void> {
  await session.query(
    `DELETE FROM ${BRONZE}.cdc_tables AS t USING json_to_recordset($2) AS removed(schema text, name text)
      WHERE t.capture_id = $1 AND t.schema = removed.schema AND t."table" = removed.name`,
    [captureId, JSON.stringify(tables)],
  );
}

/** Records the LSN of the snapshot that all unfinished copies read. The log of a first copy begins there. */
export async function recordSnapshot(session: Session, captureId: string, lsn: string): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables
        SET copied_at = $2,
            log_from = CASE WHEN run_id IS NULL AND log_from IS DISTINCT FROM $3 THEN $2 ELSE log_from END
      WHERE capture_id = $1 AND status = 'copying'`,
    [captureId, lsn, ALL_IS_LOGGED],
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

/** Marks a copy that is of no use any more, to be made again. */
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

/** Has a copy under way made again, unless it has the changes of a transaction: they are not in the log of the table. */
export async function outdateCopy(
  session: Session,
  captureId: string,
  { schema, name }: TableName,
  commitLsn: string,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET copied_at = NULL
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3 AND status = 'copying' AND copied_at <= $4::pg_lsn`,
    [captureId, schema, name, commitLsn],
  );
}

/** A table as described by the source. */
export interface Description extends Pick<CaptureTable, 'key' | 'catalog'> {
  readonly columns: readonly KnownColumn[];
  /** Unchanged if left out. */
  readonly membership?: string;
}

/**
 * Uses one statement: updating a row twice in a transaction checks its foreign key, which would wait for the
 * stream's transaction that has locked the position.
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
  membership: string,
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.cdc_tables SET membership = $4 WHERE capture_id = $1 AND schema = $2 AND "table" = $3`,
    [captureId, schema, name, membership],
  );
}

/**
 * Returns SQL for the slot whose changes are applied to a bronze table, NULL if there is none; `target` is SQL too,
 * and may use names of the enclosing query.
 */
export const mirrorOf = (target: string): string =>
  `(SELECT cdc_p.slot FROM ${BRONZE}.cdc_tables cdc_t JOIN ${BRONZE}.cdc_positions cdc_p USING (capture_id)
     WHERE cdc_t.target = ${target} AND cdc_t.mirrored AND cdc_t.status = 'live' AND cdc_p.status <> 'dropped' LIMIT 1)`;
