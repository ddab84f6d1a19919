import type { Session } from '../session.ts';

export interface RelationBeneath {
  readonly oid: number;
  /** True if its rows are another server's, or the result of an earlier query (foreign table, materialized view). */
  readonly elsewhere: boolean;
}

/**
 * Returns SQL for a query `beneath` of WITH RECURSIVE: the OIDs of a view and of all that it reads, which is other
 * views, and tables with their partitions. Leaves out what functions read, since it is not known, and temporary
 * children, since nobody else can read them.
 *
 * @param rules the rules of a view to follow, as a condition on the row `r` of pg_rewrite
 */
export const beneathView = (view: string, rules: string): string =>
  `beneath AS (
     SELECT ${view} AS oid
     UNION
     SELECT below.oid FROM beneath b CROSS JOIN LATERAL (
       SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite r
         JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass
        WHERE r.ev_class = b.oid AND ${rules}
       UNION ALL
       SELECT i.inhrelid FROM pg_catalog.pg_inherits i
         JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid AND p.relpersistence <> 't'
        WHERE i.inhparent = b.oid
     ) AS below
   )`;

/** Returns a view and all that it reads. */
export async function readRelationsBeneath(session: Session, view: number): Promise<RelationBeneath[]> {
  return session.query<RelationBeneath & Record<string, unknown>>(
    `WITH RECURSIVE ${beneathView('$1::oid', "r.ev_type = '1'")}
     SELECT c.oid, c.relkind IN ('f', 'm') AS elsewhere FROM beneath JOIN pg_catalog.pg_class c USING (oid)`,
    [view],
  );
}
