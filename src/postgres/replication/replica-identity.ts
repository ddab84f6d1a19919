import type { Session } from '../session.ts';
import { CANDIDATE, type Candidate } from './publications.ts';

/** A table whose updates and deletes the source would refuse once it is published. */
export interface Unidentified extends Candidate {
  /** The candidate that it is a partition of; itself if it is not a partition. */
  readonly root: Candidate;
  /** True if it is a partition, or partitioned itself. */
  readonly isPartition: boolean;
}

/**
 * Returns those of the tables to be published whose rows nothing identifies. Of a partitioned table it checks each
 * partition: PostgreSQL does so when a row is updated, and partitions do not inherit the table's REPLICA IDENTITY.
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

/** Returns true if something identifies the rows. A partition's key must include its root's, used for its changes. */
function isIdentified({ replicaIdentity, key }: Candidate, root: Candidate): boolean {
  if (replicaIdentity === 'f') return true;
  return key.length > 0 && root.key.every((column) => key.includes(column));
}
