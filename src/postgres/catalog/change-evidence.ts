import type { Session } from '../session.ts';
import { columnsDigest } from './definitions.ts';

/** Before 15 the counters travelled by UDP and could be lost on the way. */
const OLDEST_VERSION = 15_00_00;

/**
 * What the server counts and keeps of tables, as one text each: as long as it is the same, their rows are.
 *
 * It has the counters of inserted, updated and deleted rows, the file and its size, the columns, and
 * when the counters of the database were reset. A crash drops them without a word of that, and the time at which those
 * of the whole server began anew is the one thing that shows it. Tables of which that proves nothing are left out: on a
 * standby, whose counters are its own; where counters are off, or show nothing of a table that has
 * rows, as after a crash; what another server has; what policies hide.
 */
export async function readChangeEvidence(
  session: Session,
  tables: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const rows = await session.query<{ oid: number; evidence: string }>(
    `SELECT c.oid, concat_ws(' ', c.oid, pg_relation_filenode(c.oid), pg_relation_size(c.oid), n.inserted, n.updated, n.deleted,
                             ${columnsDigest('c.oid', 'c.relnatts')}, extract(epoch FROM pg_stat_get_db_stat_reset_time(d.oid)),
                             extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())) AS evidence
       FROM pg_catalog.pg_database d
       CROSS JOIN unnest($1::oid[]) AS t(oid)
       JOIN pg_catalog.pg_class c ON c.oid = t.oid
       CROSS JOIN LATERAL (SELECT pg_stat_get_tuples_inserted(c.oid) AS inserted, pg_stat_get_tuples_updated(c.oid) AS updated,
                                  pg_stat_get_tuples_deleted(c.oid) AS deleted) AS n
      WHERE d.datname = current_database() AND c.relkind = 'r' AND NOT row_security_active(c.oid)
        AND current_setting('server_version_num')::int >= ${OLDEST_VERSION}
        AND NOT pg_is_in_recovery() AND current_setting('track_counts')::boolean
        AND (pg_relation_size(c.oid) = 0 OR n.inserted + n.updated + n.deleted > 0)`,
    [tables],
  );
  return new Map(rows.map(({ oid, evidence }) => [oid, evidence]));
}
