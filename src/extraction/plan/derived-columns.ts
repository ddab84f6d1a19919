import { PARSE_JSON } from '../../bronze/parse-json.ts';
import type { PlannedColumn } from '../../bronze/plan.ts';
import type { SourceTypes } from '../../bronze/schema/type-mapping.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { isTooLong, MAX_IDENTIFIER_BYTES } from '../../contract/table-name.ts';
import type { Column, SourceType } from '../../postgres/catalog/columns.ts';
import { quoteName } from '../../postgres/identifiers.ts';

type Derivations = Pick<ExtractTableInput, 'json' | 'arrays' | 'largeObjects' | 'largeObjectPartSize'>;

interface Derivation {
  /** The name of the input, for messages. */
  readonly input: string;
  readonly names: readonly string[];
  readonly suffix: string;
  readonly expected: string;
  readonly fits: (base: SourceType) => boolean;
  readonly make: (from: string) => Omit<PlannedColumn, 'name' | 'sourceType' | 'from'>;
}

/**
 * Derives the columns that an input adds to those of the table: parsed JSON, expanded arrays, large object contents.
 *
 * @throws {DatakitError} InvalidInput if a column is not extracted or of another type, or the new name is taken or
 *   too long
 */
export function deriveColumns(
  columns: readonly Column[],
  types: SourceTypes,
  input: Derivations,
): PlannedColumn[] {
  const taken = new Set(columns.map(({ name }) => name));
  return derivations(input).flatMap((derivation) =>
    derivation.names.map((from) => {
      const column = findColumn(columns, from, derivation);
      requireType(column, types, derivation);
      const name = newName(from, derivation, taken);
      return { name, from, sourceType: column.type, ...derivation.make(from) };
    }),
  );
}

function derivations({ json, arrays, largeObjects, largeObjectPartSize: limit }: Derivations): Derivation[] {
  return [
    {
      input: 'json.parse',
      names: json?.parse ?? [],
      suffix: '_parsed',
      expected: 'text or json',
      fits: ({ name, builtIn, extension }) =>
        builtIn ? ['text', 'varchar', 'bpchar', 'json'].includes(name) : extension === 'citext',
      // in the warehouse: only new servers can test whether text is JSON, and nothing may be created on the source
      make: (from) => ({
        ...jsonb,
        read: 'as is',
        generated: `${PARSE_JSON}(${quoteName(from)}::text)`,
      }),
    },
    {
      input: 'arrays.expand',
      names: arrays?.expand ?? [],
      suffix: '_expanded',
      expected: 'an array',
      fits: ({ elementOid }) => elementOid !== 0,
      make: () => ({ ...jsonb, read: 'to_jsonb' }),
    },
    {
      input: 'largeObjects',
      names: largeObjects ?? [],
      suffix: '_content',
      expected: 'oid',
      fits: ({ name, builtIn }) => builtIn && name === 'oid',
      make: () => ({ type: 'bytea', decision: 'large object', read: 'large object', binary: true, limit }),
    },
  ];
}

const jsonb = { type: 'jsonb', decision: 'jsonb', binary: true } as const;

function findColumn(columns: readonly Column[], name: string, { input }: Derivation): Column {
  const column = columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  const hint = suggestion(name, columns.map((candidate) => candidate.name)); // prettier-ignore
  throw new DatakitError(
    'InvalidInput',
    `"${input}" names "${name}", which is not among the columns to extract${hint}`,
  );
}

function requireType(column: Column, types: SourceTypes, { input, expected, fits }: Derivation): void {
  const base = baseOf(column.typeOid, types);
  if (base !== undefined && fits(base)) return;
  throw new DatakitError(
    'InvalidInput',
    `"${input}" names "${column.name}", which is ${column.type}: expected ${expected}`,
  );
}

/** Resolves a column's type through its domains. */
export function baseOf(oid: number, types: SourceTypes): SourceType | undefined {
  const type = types.get(oid);
  return type?.kind === 'domain' ? baseOf(type.baseOid, types) : type;
}

function newName(from: string, { input, suffix }: Derivation, taken: Set<string>): string {
  const name = `${from}${suffix}`;
  if (isTooLong(name)) {
    throw new DatakitError(
      'InvalidInput',
      `"${input}" would make a column "${name}", and a name has at most ${MAX_IDENTIFIER_BYTES} bytes`,
    );
  }
  if (taken.has(name)) {
    throw new DatakitError(
      'InvalidInput',
      `"${input}" would make a column "${name}", and there is one already`,
    );
  }
  taken.add(name);
  return name;
}
