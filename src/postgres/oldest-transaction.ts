import type { Session } from './session.ts';
import { isApplication } from './application-name.ts';
import { LOG_END } from './log-end.ts';

/** The oldest open transaction that may still write, as far as it can be seen. */
export interface OldestTransaction {
  /** When this was read, by the source's clock. */
  readonly seenAt: string;
  /** Start of the oldest transaction of the database that may still write; `seenAt` if there is none. */
  readonly startedAt: string;
  /** Why a transaction may have been missed: the role may not see others, or their sessions do not say (track_activities). */
  readonly hidden: 'privilege' | 'tracking' | null;
  /** On a standby, the transactions of the primary are never seen. */
  readonly standby: boolean;
  /** Where the log ended; read last, so that whatever was seen to end is in the log before it. Null on a standby. */
  readonly logEnd: string | null;
}

/**
 * Looks for the oldest transaction that could still commit.
 *
 * Must be called before the snapshot of the run is taken: a transaction that the snapshot does not
 * see is then either running now or begins later. Leaves out sessions of this project, which only read.
 *
 * A session without `track_activities` does not show when its transaction began, but only that there is one: every
 * transaction holds a lock on its own virtual id.
 */
export async function readOldestTransaction(session: Session): Promise<OldestTransaction> {
  return session.one<OldestTransaction & Record<string, unknown>>(
    `WITH others AS (
       SELECT pid, state, xact_start FROM pg_catalog.pg_stat_activity s
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type NOT IN ('autovacuum worker', 'walsender')
          AND NOT (usename = session_user AND ${isApplication('s')})
     )
     SELECT now()::text AS "seenAt", least(now(), (SELECT min(xact_start) FROM others))::text AS "startedAt",
            CASE WHEN NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN 'privilege'
                 WHEN EXISTS (SELECT FROM others JOIN pg_catalog.pg_locks l USING (pid)
                               WHERE state = 'disabled' AND locktype = 'virtualxid') THEN 'tracking' END AS hidden,
            pg_is_in_recovery() AS standby, ${LOG_END} AS "logEnd"`,
  );
}

export interface Writers extends Pick<OldestTransaction, 'logEnd'> {
  readonly transactions: readonly string[];
}

/** SQL: the locks for writing on the tables of this database whose OIDs are the parameter; more conditions may follow. */
const WRITE_LOCKS = `pg_catalog.pg_locks
      WHERE locktype = 'relation' AND relation = ANY ($1::oid[])
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

/** Returns transactions, also prepared ones, that have locked one of these tables for writing. Needs no privilege. */
export async function readWriters(session: Session, tables: readonly number[]): Promise<Writers> {
  return session.one<Writers & Record<string, unknown>>(
    `SELECT ARRAY(SELECT DISTINCT virtualtransaction FROM ${WRITE_LOCKS} AND pid IS DISTINCT FROM pg_backend_pid()) AS transactions,
            ${LOG_END} AS "logEnd"`,
    [tables],
  );
}

/**
 * Returns true if a prepared transaction wrote to one of these tables. When it began is no longer known.
 *
 * The locks of a prepared transaction belong to no process, and it takes no further ones.
 */
export async function hasPreparedWriters(session: Session, tables: readonly number[]): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM ${WRITE_LOCKS} AND pid IS NULL) AS found`,
    [tables],
  );
  return found;
}

/** Returns true if the database has a prepared transaction, whatever it wrote to. */
export async function hasPreparedTransactions(session: Session): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()) AS found`,
  );
  return found;
}

/**
 * Returns true if a subscription replicates into one of these tables. Its transactions do not show what may still
 * arrive: they begin after those of the publisher have ended, and write the values that those used.
 */
export async function isSubscribed(session: Session, tables: readonly number[]): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = ANY ($1::oid[])) AS found`,
    [tables],
  );
  return found;
}

/** Returns the tables that a writer to one of these may have locked: the tables themselves and their ancestors. */
export async function withAncestors(session: Session, tables: readonly number[]): Promise<number[]> {
  const rows = await session.query<{ oid: number }>(
    `WITH RECURSIVE lineage AS (
       SELECT unnest($1::oid[]) AS oid
       UNION SELECT i.inhparent FROM lineage l JOIN pg_catalog.pg_inherits i ON i.inhrelid = l.oid
     ) SELECT oid FROM lineage`,
    [tables],
  );
  return rows.map(({ oid }) => oid);
}
