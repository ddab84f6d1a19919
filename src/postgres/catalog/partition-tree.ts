import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';
import type { Table } from './table.ts';

/** A table with its partitions or inheritance children on all levels. */
export interface PartitionTree {
  readonly root: TreeTable;
  readonly tables: ReadonlyMap<number, TreeTable>;
  /** Tables that hold rows themselves, sorted by name so that the same tree gives the same plan. */
  readonly leaves: readonly TreeTable[];
}

export interface TreeTable extends TableName {
  readonly oid: number;
  /** Tables that it is a partition or child of; an inheritance child may have several. */
  readonly parents: readonly number[];
  /** `FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')`; null if it is not a partition. */
  readonly bound: string | null;
  /** False for partitioned tables; parents by plain inheritance hold rows. */
  readonly holdsRows: boolean;
}

/**
 * Reads the tree below a table from the catalog without locking any of it: pg_partition_tree would wait for a
 * partition that somebody has locked, would fill the server's lock table with the locks of ten thousand partitions,
 * and would miss inheritance children.
 *
 * Leaves out partitions that are being detached concurrently, as every new query of the server does, and temporary
 * children, whose rows only the session that made them can read.
 */
export async function readTree(session: Session, table: Pick<Table, 'oid'>): Promise<PartitionTree> {
  const tree = (await readTrees(session, [table.oid])).get(table.oid);
  if (tree === undefined) throw new Error('the table of the tree is gone');
  return tree;
}

/** Reads several trees, by the OIDs of their roots. */
export async function readTrees(
  session: Session,
  roots: readonly number[],
): Promise<ReadonlyMap<number, PartitionTree>> {
  const rows = await session.query<TreeTable & { of: number } & Record<string, unknown>>(
    // OFFSET 0: one by one, since a join with the recursive query, whose size is unknown, would read whole catalogs
    `WITH RECURSIVE tree AS (
       SELECT root.oid AS of, root.oid FROM unnest($1::oid[]) AS root(oid)
       UNION
       SELECT t.of, child.oid FROM tree t CROSS JOIN LATERAL (
         SELECT i.inhrelid AS oid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = t.oid AND c.relpersistence <> 't'
            -- a column since PostgreSQL 14
            AND (to_jsonb(i) ->> 'inhdetachpending') IS DISTINCT FROM 'true' OFFSET 0) AS child
     )
     SELECT t.of, found.* FROM tree t CROSS JOIN LATERAL (
       SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind <> 'p' AS "holdsRows",
              -- with the table's own OID it would lock the table
              pg_get_expr(c.relpartbound, 0) AS bound,
              ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) AS parents
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = t.oid OFFSET 0) AS found
      ORDER BY found.schema, found.name`,
    [roots],
  );
  const trees = new Map<number, TreeTable[]>(roots.map((root) => [root, []]));
  for (const { of, ...table } of rows) trees.get(of)?.push(table);
  return new Map([...trees].flatMap(([oid, tables]) => treeOf(oid, tables)));
}

function treeOf(oid: number, tables: readonly TreeTable[]): [number, PartitionTree][] {
  const byOid = new Map(tables.map((one) => [one.oid, one]));
  const root = byOid.get(oid);
  if (root === undefined) return [];
  return [[oid, { root, tables: byOid, leaves: tables.filter(({ holdsRows }) => holdsRows) }]];
}

/** Returns true if a table is partitioned or has children; an ordinary table is its own only partition. */
export const hasPartitions = ({ root, tables }: PartitionTree): boolean => !root.holdsRows || tables.size > 1;

/** Returns the table and its ancestors, up to the root of the tree. */
export function lineage(tree: PartitionTree, table: TreeTable): TreeTable[] {
  if (table.oid === tree.root.oid) return [table];
  const above = table.parents.flatMap((oid) => {
    const parent = tree.tables.get(oid);
    return parent === undefined ? [] : lineage(tree, parent);
  });
  return [table, ...above];
}
