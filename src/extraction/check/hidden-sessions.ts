import { fine, warning, type Finding } from '../../contract/check-source.ts';
import type { Session } from '../../postgres/session.ts';

/** Why a role does not see what others do: it lacks a privilege, or their sessions do not show it. */
type Hiding = 'privilege' | 'tracking';

/** What a check says: what is seen, or else what is not and what that means. */
interface Wording {
  readonly seen: string;
  readonly privilege: { readonly found: string; readonly advice: string };
  readonly tracking: { readonly found: string; readonly means: string };
}

/** Checks whether the role sees what other sessions do. */
export async function checkSessionsOfOthers(
  session: Session,
  check: string,
  { seen, privilege, tracking }: Wording,
): Promise<Finding> {
  const hiding = await whatHidesSessions(session);
  if (hiding === null) return fine(check, seen);
  if (hiding === 'privilege') return warning(check, privilege.found, privilege.advice);
  return warning(
    check,
    `some sessions work without track_activities, and do not show ${tracking.found}`,
    `Set track_activities = on for the server, its databases and roles (ALTER … SET): ${tracking.means}`,
  );
}

/** Finds sessions that work without `track_activities`, and settings that will make further ones do so. */
async function whatHidesSessions(session: Session): Promise<Hiding | null> {
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
