import type { Session } from '../session.ts';
import { readServerOrigin } from '../system-identity.ts';
import { columnsDigest } from './definitions.ts';

/** Before PostgreSQL 15 the counters were sent by UDP and could be lost. */
const OLDEST_VERSION = 15_00_00;

export interface ChangeEvidence {
  /** By OID of the table. */
  readonly of: ReadonlyMap<number, string>;
  /** Where the log ended afterwards. It proves nothing of rows of an earlier moment, as on a lagging replica. */
  readonly logEnd: string | null;
}

/**
 * Reads what the server counts and stores about tables, as one text each: while it is unchanged, so are the rows.
 *
 * It has the server and its timeline, since one that was a standby for a while counted nothing meanwhile; the database,
 * since copies of a template begin with equal files and counters; the counters of inserted, updated
 * and deleted rows, the file and its size, the columns, and when the counters of the database were reset. A crash drops
 * these counters without recording a reset; only the time at which the server-wide counters restarted shows it. Tables
 * for which this proves nothing are left out: on a standby, which has counters of its own; if counters are off, or are
 * zero for a table that has rows, as after a crash; tables whose rows are on another server or hidden by policies.
 *
 * @returns undefined if the server does not tell its timeline, so that nothing is proven
 */
export async function readChangeEvidence(
  session: Session,
  tables: readonly number[],
): Promise<ChangeEvidence | undefined> {
  const rows = await session.query<{ oid: number; evidence: string }>(
    `SELECT c.oid, concat_ws(' ', d.oid, c.oid, pg_relation_filenode(c.oid), pg_relation_size(c.oid), n.inserted, n.updated, n.deleted,
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
  const server = await readServerOrigin(session);
  if (server === undefined) return undefined;
  const { systemId, timeline, logEnd } = server;
  return {
    of: new Map(rows.map(({ oid, evidence }) => [oid, `${systemId} ${timeline} ${evidence}`])),
    logEnd,
  };
}
