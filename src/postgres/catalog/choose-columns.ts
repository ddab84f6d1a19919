import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../identifiers.ts';
import { missingPrivilege } from '../missing-privilege.ts';
import type { Column } from './columns.ts';
import type { Table } from './table.ts';

export interface ColumnChoice {
  readonly columns?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
}

/**
 * Returns the columns that an input asks for, in its order.
 *
 * @throws {DatakitError} UndefinedObject, naming a similar column; InsufficientPrivilege; InvalidInput; PlanOutdated
 */
export function chooseColumns(all: readonly Column[], table: Table, choice: ColumnChoice): Column[] {
  const byName = new Map(all.map((column) => [column.name, column]));
  const find = (name: string): Column => {
    const column = byName.get(name);
    if (column !== undefined) return column;
    const hint = suggestion(name, [...byName.keys()]);
    throw new DatakitError('UndefinedObject', `${formatTableName(table)} has no column "${name}"${hint}`);
  };
  const excluded = new Set(choice.exclude?.map((name) => find(name).name));
  const wanted = choice.columns === undefined ? [...all] : choice.columns.map(find);
  const twice = wanted.find((column, index) => wanted.indexOf(column) !== index);
  if (twice !== undefined) throw new DatakitError('InvalidInput', `"columns" names "${twice.name}" twice`);
  const chosen = wanted.filter(({ name }) => !excluded.has(name));
  if (chosen.length === 0 && all.length > 0)
    throw new DatakitError('InvalidInput', '"exclude" leaves no column');
  requireReadable(chosen, table);
  return chosen;
}

function requireReadable(columns: readonly Column[], table: Table): void {
  const dropped = columns.find(({ readable }) => readable === null);
  if (dropped !== undefined) {
    throw new DatakitError(
      'PlanOutdated',
      `Column "${dropped.name}" of ${formatTableName(table)} was dropped after the snapshot was taken`,
    );
  }
  const unreadable = columns.filter(({ readable }) => readable === false).map(({ name }) => name);
  if (unreadable.length > 0) throw unreadableColumns(table, unreadable, unreadable.length === columns.length);
}

/** @param all whether the statement may as well grant the whole table */
export function unreadableColumns(table: Table, columns: readonly string[], all: boolean): DatakitError {
  const shown = columns.map((name) => `"${name}"`);
  const wanted = all ? '' : ` (${columns.map(quoteName).join(', ')})`;
  return missingPrivilege(
    `The role may not read ${formatTableName(table)} (SELECT is missing on ${listed(shown, 10)})`,
    `GRANT SELECT${wanted} ON ${quoteTable(table)} TO ${quoteName(table.role)}`,
  );
}
