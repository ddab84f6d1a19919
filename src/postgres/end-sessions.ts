import type { Session } from './session.ts';

/**
 * Ends other sessions of the same login.
 *
 * Acts as the login itself: `ALTER ROLE … SET role` may have turned this session into another role, to which the other
 * sessions do not belong, and which may neither see what they do nor end them.
 *
 * @param which a condition on `a`, a row of pg_stat_activity; schemas may not be resolved in it, since the login may
 *   lack their USAGE
 */
export async function endSessions(session: Session, which: string): Promise<void> {
  await session.query(
    `SAVEPOINT as_login; SET LOCAL ROLE NONE;
     SELECT pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
      WHERE a.usename = session_user AND a.pid <> pg_backend_pid() AND ${which};
     ROLLBACK TO SAVEPOINT as_login; RELEASE SAVEPOINT as_login`,
  );
}

/** Ends the other sessions that hold an advisory lock. @param key an SQL expression of type bigint */
export async function endHolders(session: Session, key: string): Promise<void> {
  await endSessions(
    session,
    `EXISTS (SELECT FROM pg_catalog.pg_locks l
              WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
                AND (l.classid::bigint << 32) | l.objid::bigint = ${key})`,
  );
}
