import type { Session } from '../session.ts';
import { CANDIDATE, type Candidate } from './publications.ts';

/** A table whose updates and deletes the source would refuse once they are published. */
export interface Unidentified extends Candidate {
  /** The candidate that it is a partition of; itself where it is none. */
  readonly root: Candidate;
  /** Whether it is a partition, or partitioned itself. */
  readonly isPartition: boolean;
}

/**
 * Of tables that are to be published, those whose rows nothing identifies. Of a partitioned table each partition is looked
 * at: that is where PostgreSQL looks when a row is updated, and REPLICA IDENTITY of the table above is not theirs.
 */
export async function findUnidentified(
  session: Session,
  candidates: readonly Candidate[],
): Promise<Unidentified[]> {
  const roots = new Map(candidates.map((candidate) => [candidate.oid, candidate]));
  const tables = await session.query<Candidate & { of: number; kind: string } & Record<string, unknown>>(
    `WITH RECURSIVE tree AS (
       SELECT root.oid AS of, root.oid FROM unnest($1::oid[]) AS root(oid)
       UNION ALL
       SELECT t.of, i.inhrelid FROM tree t
         JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind = 'p'
         JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid
     )
     SELECT t.of, found.* FROM tree t JOIN (${CANDIDATE}) AS found ON found.oid = t.oid
      WHERE found.kind = 'r' OR t.oid = t.of ORDER BY found.schema, found.name`,
    [[...roots.keys()]],
  );
  return tables.flatMap(({ of, kind, ...table }) => {
    const root = roots.get(of);
    if (root === undefined || isIdentified(table, root)) return [];
    return [{ ...table, root, isPartition: kind === 'p' || of !== table.oid }];
  });
}

/** The key of a partition has to have that of its root, by which the change is known there. */
function isIdentified({ replicaIdentity, key }: Candidate, root: Candidate): boolean {
  if (replicaIdentity === 'f') return true;
  return key.length > 0 && root.key.every((column) => key.includes(column));
}
