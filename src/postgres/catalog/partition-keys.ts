import { splitExpressions } from '../expression.ts';
import { quoteName } from '../identifiers.ts';
import type { Session } from '../session.ts';
import { isNotValidated } from './not-validated.ts';

/** The key that a table is partitioned by. */
export interface PartitionKey {
  readonly strategy: 'range' | 'list' | 'hash';
  readonly parts: readonly KeyPart[];
  /** `RANGE (day, shop)`. */
  readonly definition: string;
}

export interface KeyPart {
  /** A column or an expression, as SQL. */
  readonly sql: string;
  /** Type in which bounds are compared, without its schema; null if its operator class is not PostgreSQL's own. */
  readonly type: string | null;
  /** True if rows may have NULL in it. */
  readonly nullable: boolean;
}

interface Row {
  readonly oid: number;
  readonly strategy: PartitionKey['strategy'];
  readonly definition: string;
  readonly expressions: string | null;
  readonly parts: readonly (Omit<KeyPart, 'sql'> & { readonly column: string | null })[];
}

/** Reads partition keys by table OID; tables that are not partitioned are left out. */
export async function readPartitionKeys(
  session: Session,
  tables: readonly number[],
): Promise<ReadonlyMap<number, PartitionKey>> {
  const rows = await session.query<Row & Record<string, unknown>>(
    `SELECT p.partrelid AS oid, pg_get_partkeydef(p.partrelid) AS definition,
            CASE p.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' ELSE 'hash' END AS strategy,
            pg_get_expr(p.partexprs, p.partrelid) AS expressions,
            -- what an operator class compares is the type below a domain, and known for expressions too
            (SELECT json_agg(json_build_object('column', a.attname, 'type', CASE WHEN o.oid < 16384 THEN t.typname END,
                                               'nullable', a.attnotnull IS NOT TRUE OR n.oid IS NOT NULL)
                             ORDER BY k.position)
               FROM unnest(p.partattrs::int2[], p.partclass::oid[]) WITH ORDINALITY AS k(attnum, opclass, position)
               JOIN pg_catalog.pg_opclass o ON o.oid = k.opclass
               JOIN pg_catalog.pg_type t ON t.oid = o.opcintype
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum
               LEFT JOIN pg_catalog.pg_constraint n ON ${isNotValidated('n', 'a')}) AS parts
       FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = ANY ($1::oid[])`,
    [tables],
  );
  const keys = await Promise.all(rows.map(async (row) => [row.oid, await keyOf(row)] as const));
  return new Map(keys);
}

async function keyOf({ strategy, definition, expressions, parts }: Row): Promise<PartitionKey> {
  const written = expressions === null ? [] : await splitExpressions(expressions);
  const left = written[Symbol.iterator]();
  return {
    strategy,
    definition,
    parts: parts.map(({ column, ...part }) => ({
      sql: column === null ? `(${left.next().value ?? 'NULL'})` : quoteName(column),
      ...part,
    })),
  };
}
