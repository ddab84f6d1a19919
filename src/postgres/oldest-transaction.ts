import type { Session } from './session.ts';
import { isApplication } from './application-name.ts';

/** How far back a transaction that is still open could write, as far as it can be seen. */
export interface OldestTransaction {
  /** When this was looked at, by the source's clock. */
  readonly seenAt: string;
  /** The start of the oldest transaction of the database that may still write; `seenAt` where there is none. */
  readonly startedAt: string;
  /** Whether the sessions of all others were seen, with the privileges of pg_read_all_stats. On a standby none are. */
  readonly visible: boolean;
  readonly standby: boolean;
}

/**
 * Looks for the oldest transaction that could still commit.
 *
 * To be asked before the snapshot of the run is taken: a transaction that the snapshot does not
 * see was either running now, or began after now. Sessions of this project only read.
 */
export async function readOldestTransaction(session: Session): Promise<OldestTransaction> {
  return session.one<OldestTransaction & Record<string, unknown>>(
    `SELECT now()::text AS "seenAt",
            least(now(), (SELECT min(xact_start) FROM pg_catalog.pg_stat_activity s
                           WHERE datname = current_database() AND pid <> pg_backend_pid()
                             AND backend_type NOT IN ('autovacuum worker', 'walsender')
                             AND NOT (usename = current_user AND ${isApplication('s')}))
            )::text AS "startedAt",
            pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS visible, pg_is_in_recovery() AS standby`,
  );
}

/** Transactions that hold a lock for writing on one of these tables, prepared ones among them. Needs no privilege. */
export async function readWriters(session: Session, tables: readonly number[]): Promise<string[]> {
  const rows = await session.query<{ transaction: string }>(
    `SELECT DISTINCT virtualtransaction AS transaction FROM pg_catalog.pg_locks
      WHERE locktype = 'relation' AND relation = ANY ($1::oid[]) AND pid IS DISTINCT FROM pg_backend_pid()
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`,
    [tables],
  );
  return rows.map(({ transaction }) => transaction);
}

/**
 * Prepared transactions that wrote to one of these tables. When they began is not known any more.
 *
 * The locks of a prepared transaction have no process, and are all that it will ever have.
 */
export async function hasPreparedWriters(session: Session, tables: readonly number[]): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_locks
       WHERE locktype = 'relation' AND relation = ANY ($1::oid[]) AND pid IS NULL
         AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) AS found`,
    [tables],
  );
  return found;
}

/** Whether any transaction of the database is prepared, whatever it wrote to. */
export async function hasPreparedTransactions(session: Session): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()) AS found`,
  );
  return found;
}

/**
 * Whether a subscription brings rows of one of these tables. Its transactions are no guide to what may still come:
 * they begin when those of the publisher have ended, and write the values that those took.
 */
export async function isSubscribed(session: Session, tables: readonly number[]): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = ANY ($1::oid[])) AS found`,
    [tables],
  );
  return found;
}

/** Tables whose lock a writer to one of these may hold: they themselves, and those that they are partitions of. */
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
