import { query } from './execute.ts';
import type { SourceTable } from './peers/peer.ts';
import type { Measured } from './result.ts';

/** Where tables landed: a database, and the SQL name of each table there. */
export interface Landed {
  readonly warehouseUrl: string;
  target(table: string): string;
}

/**
 * Lists the columns that have a different type in the target, such as `jsonb as text`, each pair of types once; empty
 * if all types match. Additional columns of the target are ignored.
 */
export async function otherTypes(landed: Landed, tables: readonly SourceTable[]): Promise<string[]> {
  const types = await typesOf(landed, tables);
  const others = tables.flatMap(({ name, columns }) =>
    columns
      .map((column) => ({ ...column, landedAs: types.get(keyOf(name, column.name)) ?? 'nothing' }))
      .filter(({ type, landedAs }) => landedAs !== type)
      .map(({ type, landedAs }) => `${type} as ${landedAs}`),
  );
  return [...new Set(others)];
}

async function typesOf(landed: Landed, tables: readonly SourceTable[]): Promise<ReadonlyMap<string, string>> {
  const relations = tables.map(({ name }) => `('${name}', '${landed.target(name)}'::regclass)`);
  const columns = await query<{ table: string; column: string; type: string }>(
    landed.warehouseUrl,
    `SELECT t.name AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type
       FROM (VALUES ${relations.join(', ')}) AS t (name, relation) JOIN pg_attribute a ON a.attrelid = t.relation
      WHERE a.attnum > 0 AND NOT a.attisdropped`,
  );
  return new Map(columns.map(({ table, column, type }) => [keyOf(table, column), type]));
}

const keyOf = (table: string, column: string): string => `${table}.${column}`;

/** Returns the entries whose landed types are known, with those types; subjects that failed have none. */
export function withTypes(
  entries: readonly Measured[],
  types: ReadonlyMap<string, readonly string[]>,
): Measured[] {
  return entries.flatMap((entry) => {
    const others = types.get(entry.subject);
    return others === undefined ? [] : [{ ...entry, otherTypes: others }];
  });
}
