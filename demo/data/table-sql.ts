import { escapeIdentifier, escapeLiteral } from 'pg';
import type { TableDefinition } from './demo-table.ts';

const SCHEMA = 'public';

/** `public.flights`, quoted. */
export function qualified(name: string): string {
  return `${escapeIdentifier(SCHEMA)}.${escapeIdentifier(name)}`;
}

/** Views on an earlier load go with it: CASCADE. */
export function dropTable(name: string): string {
  return `DROP TABLE IF EXISTS ${qualified(name)} CASCADE`;
}

/** Without its key, which is built faster when the rows are in. */
export function createTable(name: string, { columns }: TableDefinition): string {
  const lines = columns.map((column) => `  ${escapeIdentifier(column.name)} ${column.type}`);
  return `CREATE TABLE ${qualified(name)} (\n${lines.join(',\n')}\n)`;
}

export function addPrimaryKey(name: string, { primaryKey }: TableDefinition): string {
  return `ALTER TABLE ${qualified(name)} ADD PRIMARY KEY (${primaryKey.map(escapeIdentifier).join(', ')})`;
}

/** One statement a comment. */
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
 * FREEZE saves the first reader from setting a hint in every page, which is a write of every page;
 * it asks for a table made in the same transaction.
 */
export function copyFrozen(name: string, { columns }: TableDefinition): string {
  const names = columns.map((column) => escapeIdentifier(column.name));
  return `COPY ${qualified(name)} (${names.join(', ')}) FROM STDIN WITH (FORMAT text, FREEZE, ENCODING 'UTF8')`;
}
