import type { Session } from './session.ts';
import { isApplication } from './application-name.ts';

/** A session whose counts of changed rows may not have reached the server's statistics yet. */
export interface UnsettledSession {
  /** Process id and start time, since process ids are reused. */
  readonly id: string;
  readonly pid: number;
  readonly application: string | null;
  readonly isIdle: boolean;
  /** True if it does not show what it does: `track_activities` is off. */
  readonly isHidden: boolean;
  /** Seconds since it became idle, or since its transaction or its statement began, whichever was first. */
  readonly seconds: number;
}

/**
 * An idle session reports its counts after ten seconds at the latest, and any session at the end of a
 * transaction if its last report was a second or more before: pgstat_report_stat in
 * https://github.com/postgres/postgres/blob/master/src/backend/utils/activity/pgstat.c.
 *
 * Transactions that end within a statement (CALL, DO, several in one string) do not count: the server reports when it
 * waits for the next statement.
 */
export const REPORTS_IDLE_AFTER = 11;
export const REPORTS_AGAIN_AFTER = 1.1;

/**
 * Returns the sessions of the database that may have counts to report, except our own, which only read.
 *
 * @param since by the source's clock; what a session counted before does not matter
 * @returns undefined if the sessions of others cannot be seen
 */
export async function readUnsettled(
  session: Session,
  since: string,
): Promise<readonly UnsettledSession[] | undefined> {
  const rows = await session.query<UnsettledSession & { visible: boolean } & Record<string, unknown>>(
    `SELECT v.visible, a.*
       FROM (SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS visible) AS v
       LEFT JOIN LATERAL (
         SELECT pid || ' ' || backend_start AS id, pid, application_name AS application, state = 'idle' AS "isIdle",
                state = 'disabled' AS "isHidden",
                extract(epoch FROM clock_timestamp() - CASE WHEN state = 'idle' THEN state_change
                                                            ELSE coalesce(least(xact_start, query_start), now()) END)::float8 AS seconds
           FROM pg_catalog.pg_stat_activity s
          WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type NOT IN ('autovacuum worker', 'walsender', 'parallel worker')
            AND NOT (usename = session_user AND ${isApplication('s')})
            AND CASE WHEN state = 'idle' THEN state_change > now() - interval '${REPORTS_IDLE_AFTER} seconds'
                     ELSE coalesce(xact_start, now()) >= $1::timestamptz END
       ) AS a ON true`,
    [since],
  );
  if (rows.some(({ visible }) => !visible)) return undefined;
  return rows.filter(({ pid }) => pid !== null);
}
