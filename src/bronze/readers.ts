import { DatakitError } from '../contract/failures.ts';
import { quoteTable } from '../postgres/identifiers.ts';
import type { Writer } from '../postgres/batch.ts';
import type { Session } from '../postgres/session.ts';
import type { TableName } from '../contract/table-name.ts';
import { isApplication } from '../postgres/application-name.ts';
import { isLockTimeout } from '../postgres/server-failure.ts';
import { BRONZE } from './layout.ts';

/**
 * Milliseconds that readers of a bronze table may queue behind a transaction that itself waits for one of them. Then it
 * gives up its locks, and is retried.
 */
export const LONGEST_QUEUE = 2_000;

interface Reader {
  readonly pid: number;
  readonly role: string | null;
  readonly application: string | null;
  readonly since: string | null;
}

/**
 * Refuses to go on while a session is idle in a transaction whose snapshot is older than the new rows.
 *
 * Such a session (REPEATABLE READ, or an open cursor) would find the exchanged table empty if it first read it
 * afterwards: https://www.postgresql.org/docs/current/mvcc-caveats.html. Between statements it is recognised by its
 * backend_xmin; without `track_activities` it shows neither that it is between statements nor since when, but still
 * that it waits for its client. Sessions of other roles are visible only with the privileges of pg_read_all_stats.
 *
 * @param planId the plan whose rows were ready before; null if this transaction wrote them
 */
export async function requireNoOldSnapshot(
  session: Session,
  table: TableName,
  planId: string | null = null,
): Promise<void> {
  // or a transaction that has read these statistics before would get the same again
  await session.query('SELECT pg_stat_clear_snapshot()');
  const readers = await session.query<Reader & Record<string, unknown>>(
    `SELECT a.pid, a.usename AS role, a.application_name AS application, a.xact_start::text AS since
       FROM pg_catalog.pg_stat_activity a
      WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
        AND (a.state LIKE 'idle in transaction%' OR a.state = 'disabled' AND a.wait_event = 'ClientRead')
        AND a.backend_xmin IS NOT NULL
        AND ($1::bigint IS NULL
          OR coalesce(a.xact_start, '-infinity') < (SELECT prepared_at FROM ${BRONZE}.extraction_plans WHERE plan_id = $1))
        AND NOT ${isApplication('a')}
      LIMIT 5`,
    [planId],
  );
  if (readers.length > 0) throw inTheWay(`an older snapshot is open`, table, readers);
}

/** Locks a table against its readers. Waits as long as `lock_timeout` allows. */
export async function lockExclusively(writer: Writer, table: TableName): Promise<void> {
  await writer.query(`LOCK TABLE ${quoteTable(table)} IN ACCESS EXCLUSIVE MODE`);
}

/**
 * Locks a table exclusively with a short timeout, in a transaction that may wait longer for its other locks.
 *
 * @throws {DatakitError} LockTimeout
 */
export async function lockBriefly(session: Session, table: TableName): Promise<void> {
  const { before } = await session.one<{ before: string }>(
    `SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $1, true)`,
    [`${LONGEST_QUEUE}ms`],
  );
  try {
    await lockExclusively(session, table);
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    const message = `warehouse: ${table.schema}.${table.name} is in use and cannot be changed yet`;
    throw new DatakitError('LockTimeout', message);
  }
  await session.query(`SELECT set_config('lock_timeout', $1, true)`, [before]);
}

/**
 * Locks those of the tables that nobody uses, without waiting for any: a wait would block the readers of tables
 * already locked, and could deadlock with a session that reads both.
 */
export async function lockUnused<Table extends TableName>(
  session: Session,
  tables: readonly Table[],
): Promise<readonly Table[]> {
  if (tables.length === 0) return [];
  await session.query('SAVEPOINT before_lock');
  try {
    await session.query(`LOCK TABLE ${tables.map(quoteTable).join(', ')} IN ACCESS EXCLUSIVE MODE NOWAIT`);
    return tables;
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    await session.query('ROLLBACK TO SAVEPOINT before_lock');
  }
  if (tables.length === 1) return [];
  const half = Math.ceil(tables.length / 2);
  return [
    ...(await lockUnused(session, tables.slice(0, half))),
    ...(await lockUnused(session, tables.slice(half))),
  ];
}

/**
 * Returns the error that names who uses the table or its staging table, for when they could not be locked. In a database
 * that is a copy of this one, tables have the same OIDs.
 */
export async function describeReaders(
  session: Session,
  table: TableName,
  staging: TableName,
): Promise<DatakitError> {
  const readers = await session.query<Reader & Record<string, unknown>>(
    `SELECT DISTINCT a.pid, a.usename AS role, a.application_name AS application, a.xact_start::text AS since
       FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      WHERE l.relation IN (VALUES (to_regclass($1)::oid), (to_regclass($2)::oid) UNION SELECT inhrelid FROM pg_catalog.pg_inherits
                            WHERE inhparent = to_regclass($1))
        AND a.datname = current_database() AND l.granted AND l.pid <> pg_backend_pid()
      LIMIT 5`,
    [quoteTable(table), quoteTable(staging)],
  );
  return inTheWay('the table is in use', table, readers);
}

function inTheWay(reason: string, { schema, name }: TableName, readers: readonly Reader[]): DatakitError {
  const named = readers.map(
    ({ pid, role, application, since }) =>
      `process ${pid} (${application || 'unnamed'}, role ${role ?? '?'}, since ${since ?? '?'})`,
  );
  const by = named.length > 0 ? ` by ${named.join(', ')}` : '';
  return new DatakitError(
    'LockTimeout',
    `warehouse: ${schema}.${name} cannot be replaced yet: ${reason}${by}`,
  );
}
