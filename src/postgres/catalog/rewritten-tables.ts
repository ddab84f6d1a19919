import type { Session } from '../session.ts';

/**
 * Returns the tables and materialized views among what this transaction has locked whose rows are not in the files that
 * its snapshot shows: truncated, rewritten or exchanged between the snapshot and the lock. They may look empty.
 *
 * It has locked whatever its statements have read, also through views, policies and functions. It sees `pg_class` as of
 * its snapshot, whereas the functions that are called here look into the current catalog.
 */
export async function readRewritten(session: Session): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT now.identity AS name
       FROM pg_catalog.pg_locks l
       LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) l.relation
       CROSS JOIN LATERAL (SELECT pg_catalog.pg_relation_filenode(l.relation) AS node) AS file
       CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_class'::regclass, l.relation, 0) AS now
      WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
        AND coalesce(c.relfilenode OPERATOR(pg_catalog.<>) 0 AND c.relfilenode OPERATOR(pg_catalog.<>) file.node,
                     file.node IS NOT NULL)
        AND now.type OPERATOR(pg_catalog.=) ANY (ARRAY['table', 'materialized view'])
      ORDER BY name`,
  );
  return rows.map(({ name }) => name);
}
