import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { readPrimaryKey } from '../../postgres/catalog/primary-key.ts';
import { hasHeirs, mayBeNull } from './null-values.ts';
import type { IncrementalContext } from './plan-increment.ts';

export interface Key {
  readonly key: readonly string[];
  readonly keyNullable: boolean;
  readonly warning: readonly string[];
}

/**
 * Chooses what identifies a row: the key in the input, or else the primary key.
 *
 * @throws {DatakitError} UndefinedObject; InvalidInput if a key is needed and there is none
 */
export async function chooseKey(context: IncrementalContext): Promise<Key> {
  const { input, columns, table } = context;
  const key = input.key ?? (await primaryKey(context));
  const chosen = key.map((name) => {
    const column = columns.find((one) => one.name === name);
    if (column !== undefined) return column;
    const hint = suggestion(
      name,
      columns.map((one) => one.name),
    );
    throw new DatakitError(
      'UndefinedObject',
      `The key column "${name}" is not among those to extract of ${formatTableName(table)}${hint}`,
    );
  });
  if (key.length > 0) {
    // the NOT NULL of a foreign table is only declared here, and nothing enforces it on the other server
    const isElsewhere = context.partitions.some(({ isForeign }) => isForeign);
    const keyNullable = isElsewhere || chosen.some((column) => mayBeNull(column, context));
    return { key, keyNullable, warning: [] };
  }
  requireNoNeed(context);
  return {
    key,
    keyNullable: false,
    warning: [
      `${formatTableName(table)} has no key: rows that are read again are compared by all their values, and appended if one differs. Name a "key" to identify them.`,
    ],
  };
}

/** Returns no key for a table with inheritance children, since its key does not cover their rows. */
async function primaryKey(context: IncrementalContext): Promise<string[]> {
  const { source, table, columns } = context;
  if (hasHeirs(context)) return [];
  const key = await readPrimaryKey(source, table);
  return key.every((name) => columns.some((column) => column.name === name)) ? key : [];
}

function requireNoNeed({ input, table }: IncrementalContext): void {
  const needs =
    input.write === 'merge'
      ? '"write": "merge"'
      : input.detectDeletes === true
        ? '"detectDeletes"'
        : input.currentView === true
          ? '"currentView"'
          : undefined;
  if (needs === undefined) return;
  throw new DatakitError(
    'InvalidInput',
    `${needs} needs a key, and no primary key of ${formatTableName(table)} is among the columns to extract: name one in "key"`,
  );
}
