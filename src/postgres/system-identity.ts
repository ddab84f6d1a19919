import { LOG_END } from './log-end.ts';
import type { Session } from './session.ts';
import { sqlStateOf } from './server-failure.ts';

/** What tells a server from others, and from what it was before it was restored. */
export interface SystemIdentity {
  /** Shared by a server, its standbys and its backups; a new one after initdb. */
  readonly systemId: string;
  /** Counts failovers and restores. */
  readonly timeline: number;
}

/** The identity of a server, with what its log says of how it came to be. */
export interface ServerOrigin extends SystemIdentity {
  /** Where its log ends; null on a standby, whose log is that of another server. */
  readonly logEnd: string | null;
  /** Where a standby left its earlier timeline to become this server; null if it was started again since, or was none. */
  readonly left: string | null;
}

/**
 * A standby learns a new timeline from its primary at once, but tells it only to some roles; its control file has it from
 * the next restart point on. How far a server replayed stays known after a promotion, but also after a recovery from a
 * crash, which unlike a standby received nothing.
 */
const ORIGIN = `SELECT s.system_identifier::text AS "systemId",
    CASE WHEN pg_is_in_recovery()
         THEN greatest(c.timeline_id, r.min_recovery_end_timeline, (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))
         ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END AS timeline,
    ${LOG_END} AS "logEnd",
    CASE WHEN NOT pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS NOT NULL
         THEN pg_last_wal_replay_lsn()::text END AS "left"
  FROM pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r`;

/** Classes of SQLSTATEs by which a server says that it does not tell this, or not to this role. */
const REFUSED = /^(0A|42|55|58|XX)/;

/** @returns undefined if the server refuses to tell, as some managed services do; the transaction goes on */
export async function readServerOrigin(session: Session): Promise<ServerOrigin | undefined> {
  try {
    const [, rows] = await session.queryAll<ServerOrigin & Record<string, unknown>>([
      'SAVEPOINT origin',
      ORIGIN,
      'RELEASE SAVEPOINT origin',
    ]);
    return rows?.[0];
  } catch (error) {
    if (!REFUSED.test(sqlStateOf(error) ?? '')) throw error;
    await session.query('ROLLBACK TO SAVEPOINT origin; RELEASE SAVEPOINT origin');
    return undefined;
  }
}
