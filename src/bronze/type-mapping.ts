import type { Column, SourceType } from '../postgres/catalog/columns.ts';

/** How a column of the source becomes a column of bronze. */
export interface TypeMapping {
  /** The type in the warehouse, as SQL. */
  readonly type: string;
  /** What became of the source's type. */
  readonly decision: 'kept' | 'base type' | 'text' | 'jsonb';
  /** How the source sends it: as it is, cast to the type above, or through `to_jsonb`. */
  readonly read: 'as is' | 'cast' | 'to_jsonb';
  /** Whether both servers read and write its binary form alike. */
  readonly binary: boolean;
}

/** What the warehouse has of the types of the source. */
export interface WarehouseTypes {
  readonly builtIn: ReadonlySet<string>;
  /** `extension.type` of the source → the type in the warehouse, quoted. */
  readonly ofExtensions: ReadonlyMap<string, string>;
}

export type SourceTypes = ReadonlyMap<number, SourceType>;

const asText = (suffix: string): TypeMapping => ({
  type: `text${suffix}`,
  decision: 'text',
  read: 'cast',
  binary: true,
});
const asJsonb: TypeMapping = { type: 'jsonb', decision: 'jsonb', read: 'to_jsonb', binary: true };

/**
 * Decides the type of a column in bronze. Total: every type has an outcome, and none loses a value.
 *
 * Binary COPY carries type OIDs inside arrays, ranges and composites, and those of types made
 * in a database are that database's own; so only types made with the server travel in binary.
 */
export function mapColumn(column: Column, types: SourceTypes, warehouse: WarehouseTypes): TypeMapping {
  return mapType(column.typeOid, column.type, types, warehouse);
}

function mapType(oid: number, name: string, types: SourceTypes, warehouse: WarehouseTypes): TypeMapping {
  const type = types.get(oid);
  if (type === undefined) return asText('');
  if (type.elementOid !== 0) return mapArray(type, name, types, warehouse);
  switch (type.kind) {
    case 'domain':
      return mapDomain(type, types, warehouse);
    case 'composite':
      return asJsonb;
    case 'base':
    case 'range':
    case 'multirange':
      return type.builtIn ? mapBuiltIn(type, name, warehouse) : mapExtensionType(type, name, warehouse);
    case 'enum':
    case 'pseudo':
      return asText('');
  }
}

/** The base type, down through domains over domains; the modifier is the innermost's. */
function mapDomain(domain: SourceType, types: SourceTypes, warehouse: WarehouseTypes): TypeMapping {
  const base = mapType(domain.baseOid, domain.baseType ?? 'text', types, warehouse);
  return base.decision === 'kept' ? { ...base, decision: 'base type', read: 'cast' } : base;
}

function mapArray(
  array: SourceType,
  name: string,
  types: SourceTypes,
  warehouse: WarehouseTypes,
): TypeMapping {
  const element = mapType(array.elementOid, name.replace(/\[\]$/, ''), types, warehouse);
  return element.decision === 'jsonb' ? asJsonb : { ...element, type: `${element.type}[]` };
}

/** `regclass` and its kin are OIDs that name something in the source only: kept, they would name another thing. */
const namesAnObject = (type: SourceType): boolean =>
  type.schema === 'pg_catalog' && /^reg[a-z]+$/.test(type.name);

/** Types that a server does not read back as it sends them: of an empty `tsquery` it says "malformed tsquery". */
const textOnly: ReadonlySet<string> = new Set(['tsquery']);

function mapBuiltIn(type: SourceType, name: string, warehouse: WarehouseTypes): TypeMapping {
  if (namesAnObject(type) || !type.hasBinaryFormat || !warehouse.builtIn.has(type.name)) return asText('');
  return { type: name, decision: 'kept', read: 'as is', binary: !textOnly.has(type.name) };
}

function mapExtensionType(type: SourceType, name: string, warehouse: WarehouseTypes): TypeMapping {
  const own = warehouse.ofExtensions.get(`${type.extension}.${type.name}`);
  if (own === undefined) return asText('');
  const modifier = /\([^()"]*\)$/.exec(name)?.[0] ?? '';
  return { type: `${own}${modifier}`, decision: 'kept', read: 'as is', binary: false };
}
