import { DatakitError } from '../../contract/failures.ts';
import type { SchemaChange } from '../../contract/incremental.ts';
import { quoteName } from '../../postgres/identifiers.ts';
import type { ColumnDefinition } from './bronze-table.ts';
import { isMetadata } from '../layout.ts';
import { widens } from './type-widening.ts';

export interface Schemas {
  /** `bronze.br_orders`, for messages. */
  readonly target: string;
  /** The columns that the run reads, in the types of the warehouse. */
  readonly planned: readonly ColumnDefinition[];
  readonly bronze: readonly ColumnDefinition[];
  /** The columns that the previous run read; if undefined, those of bronze stand in for them. */
  readonly previous: readonly ColumnDefinition[] | undefined;
  readonly policy: 'evolve' | 'freeze';
}

/**
 * Finds the differences between the table in bronze and in the source now.
 *
 * @throws {DatakitError} SchemaChanged for what cannot be followed, and with `freeze` for every change
 */
export function findDrift({ target, planned, bronze, previous, policy }: Schemas): SchemaChange[] {
  const data = bronze.filter(({ name }) => !isMetadata(name));
  const types = new Map(data.map(({ name, type }) => [name, type]));
  const before = new Map((previous ?? data).map(({ name, type }) => [name, type]));
  // a column that was narrowed before stays wider in bronze
  const isNew = ({ name, type }: ColumnDefinition) =>
    before.get(name) !== type || !widens(type, types.get(name) ?? '');
  const changes = [
    ...planned
      .filter((column) => !isMetadata(column.name) && isNew(column))
      .flatMap(({ name, type }) => changeOf(target, name, types.get(name), type)),
    ...data.filter(({ name }) => before.has(name) && !planned.some((one) => one.name === name)).map(dropped),
  ];
  const [first] = changes;
  if (policy === 'evolve' || first === undefined) return changes;
  throw new DatakitError(
    'SchemaChanged',
    `"schemaChanges" is "freeze", and column ${quoteName(first.column)} of the source was ${first.change} (bronze: ${first.from ?? 'none'}, source: ${first.to ?? 'none'})`,
  );
}

const dropped = ({ name, type }: ColumnDefinition): SchemaChange => ({
  column: name,
  change: 'dropped',
  from: type,
  to: null,
});

function changeOf(target: string, column: string, from: string | undefined, to: string): SchemaChange[] {
  if (from === to) return [];
  if (from === undefined) return [{ column, change: 'added', from: null, to }];
  if (widens(from, to)) return [{ column, change: 'widened', from, to }];
  if (widens(to, from)) return [{ column, change: 'narrowed', from, to }];
  throw new DatakitError(
    'SchemaChanged',
    `Column ${quoteName(column)} is ${to} in the source now and ${from} in ${target}: neither type holds all values of the other`,
  );
}
