import { DatakitError } from '../contract/failures.ts';
import type { Session } from './session.ts';

/** Marks a session that holds a snapshot: an advisory lock, which sessions of other runs and other databases see. */
const HOLDS = [1_684_107_621, 1];

/** The connections that a role may have, by the limits of the server, the role and the database. */
export interface Connections {
  /** `max_connections` of the server. */
  readonly most: number;
  /** Not used by other sessions. */
  readonly free: number;
  /** Used by other sessions of the role that hold no snapshot. */
  readonly working: number;
}

/** Does without `backend_type` where it is hidden from the role, which still sees the users and databases of sessions. */
export async function readConnections(session: Session): Promise<Connections> {
  return session.one<Connections & Record<string, unknown>>(
    `WITH sessions AS (
       SELECT usesysid, datid,
              pid IN (SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 2
                         AND classid = ${HOLDS[0]} AND objid = ${HOLDS[1]}) AS holds
         FROM pg_catalog.pg_stat_activity
        WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
          AND coalesce(backend_type, 'client backend') = 'client backend'),
     server AS (
       SELECT current_setting('max_connections')::int AS most,
              current_setting('superuser_reserved_connections')::int
                + CASE WHEN pg_has_role(session_user, to_regrole('pg_use_reserved_connections'), 'USAGE') THEN 0
                       ELSE coalesce(current_setting('reserved_connections', true)::int, 0) END AS reserved)
     SELECT most,
            greatest(0, least(
              most - CASE WHEN rolsuper THEN 0 ELSE reserved END - (SELECT count(*) FROM sessions),
              CASE WHEN rolconnlimit >= 0 AND NOT rolsuper
                   THEN rolconnlimit - (SELECT count(*) FROM sessions WHERE usesysid = r.oid) END,
              CASE WHEN datconnlimit >= 0 AND NOT rolsuper
                   THEN datconnlimit - (SELECT count(*) FROM sessions WHERE datid = d.oid) END))::int AS free,
            (SELECT count(*) FROM sessions WHERE usesysid = r.oid AND NOT holds)::int AS working
       FROM server, pg_catalog.pg_roles r, pg_catalog.pg_database d
      WHERE rolname = session_user AND datname = current_database()`,
  );
}

/**
 * Called in a session that is about to hold a snapshot. If holders had all connections that the role may have, their runs
 * would wait for one to copy with until they gave up.
 *
 * @param label of the source, for the message
 * @throws {DatakitError} TooManyConnections if none would be left
 */
export async function leaveOneToCopyWith(session: Session, label: string): Promise<void> {
  // first the mark, then the look: of two that take the last ones, at least one sees the other
  await session.query(`SELECT pg_advisory_xact_lock_shared(${HOLDS.join()})`);
  const { free, working } = await readConnections(session);
  if (free + working > 1) return;
  throw new DatakitError(
    'TooManyConnections',
    `${label}: the last connection that the role may have would hold a snapshot, and none would be left to copy with`,
  );
}
