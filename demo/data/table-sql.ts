import { escapeIdentifier, escapeLiteral } from 'pg';
import type { TableDefinition } from './demo-table.ts';

const SCHEMA = 'public';

/** Returns the quoted name, such as `"public"."flights"`. */
export function qualified(name: string): string {
  return `${escapeIdentifier(SCHEMA)}.${escapeIdentifier(name)}`;
}

/** CASCADE also drops views on an earlier load. */
export function dropTable(name: string): string {
  return `DROP TABLE IF EXISTS ${qualified(name)} CASCADE`;
}

/** CREATE TABLE without the key, which is faster to build once the rows are in. */
export function createTable(name: string, { columns }: TableDefinition): string {
  const lines = columns.map((column) => `  ${escapeIdentifier(column.name)} ${column.type}`);
  return `CREATE TABLE ${qualified(name)} (\n${lines.join(',\n')}\n)`;
}

export function addPrimaryKey(name: string, { primaryKey }: TableDefinition): string {
  return `ALTER TABLE ${qualified(name)} ADD PRIMARY KEY (${primaryKey.map(escapeIdentifier).join(', ')})`;
}

/** Returns one statement per comment. */
export function addComments({ name, comment, columns }: TableDefinition): string[] {
  const table = `COMMENT ON TABLE ${qualified(name)} IS ${escapeLiteral(comment)}`;
  const commented = columns.flatMap((column) =>
    column.comment === undefined ? [] : [{ name: column.name, comment: column.comment }],
  );
  return [
    table,
    ...commented.map(
      (column) =>
        `COMMENT ON COLUMN ${qualified(name)}.${escapeIdentifier(column.name)} IS ${escapeLiteral(column.comment)}`,
    ),
  ];
}

/**
 * FREEZE saves the first reader from setting hint bits, and thus writing every page;
 * it requires a table created in the same transaction.
 */
export function copyFrozen(name: string, { columns }: TableDefinition): string {
  const names = columns.map((column) => escapeIdentifier(column.name));
  return `COPY ${qualified(name)} (${names.join(', ')}) FROM STDIN WITH (FORMAT text, FREEZE, ENCODING 'UTF8')`;
}
