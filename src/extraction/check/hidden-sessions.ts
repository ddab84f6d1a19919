import type { Session } from '../../postgres/session.ts';

/** Why a role does not see what others do: it lacks a privilege, or their sessions do not show it. */
export type Hiding = 'privilege' | 'tracking';

/** Finds sessions that work without `track_activities`, and settings that will make further ones do so. */
export async function whatHidesSessions(session: Session): Promise<Hiding | null> {
  const { hiding } = await session.one<{ hiding: Hiding | null }>(
    `SELECT CASE WHEN NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN 'privilege'
                 WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_activity
                               WHERE datname = current_database() AND state = 'disabled')
                   OR EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting
                               WHERE (s.setdatabase = 0
                                  OR s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
                                 AND setting LIKE 'track\\_activities=%' AND NOT split_part(setting, '=', 2)::boolean)
                 THEN 'tracking' END AS hiding`,
  );
  return hiding;
}

/** What to do where sessions do not show what they do. */
export const TRACK = 'Set track_activities = on for the server, its databases and roles (ALTER … SET)';
