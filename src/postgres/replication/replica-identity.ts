import type { Session } from '../session.ts';
import { CANDIDATE, type Candidate } from './candidates.ts';
import { findPublication } from './publications.ts';

/** A table whose updates and deletes the source would refuse once it is published. */
export interface Unidentified extends Candidate {
  /** The candidate that it is a partition of; itself if it is not a partition. */
  readonly root: Candidate;
  /** True if it is a partition, or partitioned itself. */
  readonly isPartition: boolean;
  /** Generated columns that would have to be part of its identity, and are not sent. */
  readonly unsent: readonly string[];
}

/** The first version that refuses updates and deletes of a row whose identity has a generated column that is not sent. */
const GENERATED_SINCE = 18;

/**
 * Returns those of the tables to be published whose rows nothing identifies. Of a partitioned table it checks each
 * partition: PostgreSQL does so when a row is updated, and partitions do not inherit the table's REPLICA IDENTITY.
 *
 * @param publication must send the generated columns that identify rows; without it, these are not looked at
 */
export async function findUnidentified(
  session: Session,
  candidates: readonly Candidate[],
  publication?: string,
): Promise<Unidentified[]> {
  const roots = new Map(candidates.map((candidate) => [candidate.oid, candidate]));
  const tables = await session.query<Found & Record<string, unknown>>(
    `WITH RECURSIVE tree AS (
       SELECT root.oid AS of, root.oid FROM unnest($1::oid[]) AS root(oid)
       UNION ALL
       SELECT t.of, i.inhrelid FROM tree t
         JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind = 'p'
         JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid
     )
     SELECT t.of, found.*, ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> '') AS generated
       FROM tree t JOIN (${CANDIDATE}) AS found ON found.oid = t.oid
      WHERE found.kind = 'r' OR t.oid = t.of ORDER BY found.schema, found.name`,
    [[...roots.keys()]],
  );
  const areSent = await sentGenerated(session, tables, publication);
  return tables.flatMap(({ of, kind, generated, ...table }) => {
    const root = roots.get(of);
    if (root === undefined) return [];
    const isKeyed = table.replicaIdentity !== 'f' && hasKeyOf(root, table);
    const isWhole = !isKeyed && session.majorVersion >= GENERATED_SINCE;
    const unsent = generated.filter(
      (column) => (isKeyed ? table.key.includes(column) : isWhole) && !areSent(of, column),
    );
    if (unsent.length === 0 && (isKeyed || table.replicaIdentity === 'f')) return [];
    return [{ ...table, root, isPartition: kind === 'p' || of !== table.oid, unsent }];
  });
}

interface Found extends Candidate {
  /** The OID of its root. */
  readonly of: number;
  readonly kind: string;
  readonly generated: readonly string[];
}

/** A partition's key must include its root's, used for its changes. */
const hasKeyOf = (root: Candidate, { key }: Candidate): boolean =>
  key.length > 0 && root.key.every((column) => key.includes(column));

/** Returns a function that tells whether a generated column of a root is sent, or will be. */
async function sentGenerated(
  session: Session,
  tables: readonly Found[],
  name: string | undefined,
): Promise<(root: number, column: string) => boolean> {
  if (name === undefined || tables.every(({ generated }) => generated.length === 0)) return () => true;
  const publication = await findPublication(session, name);
  const sent = new Map(publication?.tables.map(({ oid, columns }) => [oid, columns]));
  return (root, column) => sent.get(root)?.includes(column) ?? publication?.sendsGenerated ?? false;
}
