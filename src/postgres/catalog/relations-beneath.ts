import type { Session } from '../session.ts';

export interface RelationBeneath {
  readonly oid: number;
  /** Whether its rows are another server's, or those of a query as it was some time ago. */
  readonly elsewhere: boolean;
}

/** A view and all that it reads: tables with their partitions, and other views. What functions read is not known. */
export async function readRelationsBeneath(session: Session, view: number): Promise<RelationBeneath[]> {
  return session.query<RelationBeneath & Record<string, unknown>>(
    `WITH RECURSIVE beneath AS (
       SELECT $1::oid AS oid
       UNION
       SELECT below.oid FROM beneath b CROSS JOIN LATERAL (
         SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite r
           JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass
          WHERE r.ev_class = b.oid AND r.ev_type = '1'
         UNION ALL
         SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = b.oid
       ) AS below
     )
     SELECT c.oid, c.relkind IN ('f', 'm') AS elsewhere FROM beneath JOIN pg_catalog.pg_class c USING (oid)`,
    [view],
  );
}
