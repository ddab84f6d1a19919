import type { Column, SourceType } from '../../postgres/catalog/columns.ts';

/** How a column of the source becomes a column of bronze. */
export interface TypeMapping {
  /** The type in the warehouse, as SQL. */
  readonly type: string;
  /** What the source's type became. */
  readonly decision: 'kept' | 'base type' | 'text' | 'jsonb' | 'large object';
  /** How the source sends it: as it is, cast to the type above, through `to_jsonb`, or as full names of objects. */
  readonly read: 'as is' | 'cast' | 'to_jsonb' | 'object name' | 'object names' | 'large object';
  /** The system catalog whose objects it refers to, for `regclass` and its kin. */
  readonly catalog?: string;
  /** True if both servers read and write its binary form alike. */
  readonly binary: boolean;
}

/** The source's types, as far as the warehouse has them. */
export interface WarehouseTypes {
  readonly builtIn: ReadonlySet<string>;
  /** Built-in types with values that only text can carry to the warehouse. */
  readonly textOnly: ReadonlySet<string>;
  /** True if `numeric` may have a scale below 0 or above its precision there. */
  readonly anyScale: boolean;
  /** `extension.type` of the source → the type in the warehouse, with its schema, as `format_type` writes it. */
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
 * Decides the type of a column in bronze. Every type has an outcome, and none loses a value.
 *
 * Binary COPY carries type OIDs inside arrays, ranges and composites, and those of types created in a database are
 * its own; so only built-in types travel in binary.
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

/**
 * Maps a domain to its base type, down through nested domains, with the innermost modifier.
 *
 * The text of a domain's value is that of its base type. In binary an array names the type of its elements, so
 * there it must be cast.
 */
function mapDomain(domain: SourceType, types: SourceTypes, warehouse: WarehouseTypes): TypeMapping {
  const base = mapType(domain.baseOid, domain.baseType ?? 'text', types, warehouse);
  if (base.decision !== 'kept') return base;
  return { ...base, decision: 'base type', read: base.binary ? 'cast' : 'as is' };
}

function mapArray(
  array: SourceType,
  name: string,
  types: SourceTypes,
  warehouse: WarehouseTypes,
): TypeMapping {
  const element = mapType(array.elementOid, name.replace(/\[\]$/, ''), types, warehouse);
  if (element.decision === 'jsonb') return asJsonb;
  if (element.read === 'object name') return { ...element, type: 'text[]', read: 'object names' };
  // arrays of domains over arrays: PostgreSQL has no arrays of arrays
  if (element.type.endsWith('[]')) return asText('[]');
  return { ...element, type: `${element.type}[]` };
}

/**
 * The catalog that values of each type refer to. `regclass` and its kin are OIDs of objects in the source: kept as
 * they are, they would refer to other objects.
 */
const objectCatalogs: Readonly<Record<string, string>> = {
  regclass: 'pg_class',
  regproc: 'pg_proc',
  regprocedure: 'pg_proc',
  regoper: 'pg_operator',
  regoperator: 'pg_operator',
  regtype: 'pg_type',
  regnamespace: 'pg_namespace',
  regrole: 'pg_authid',
  regconfig: 'pg_ts_config',
  regdictionary: 'pg_ts_dict',
  regcollation: 'pg_collation',
  regdatabase: 'pg_database',
};

/** Catalog types that the server writes but never reads, or (`aclitem`) reads only if the roles are the same. */
const neverRead: ReadonlySet<string> = new Set([
  'aclitem',
  'gtsvector',
  'pg_brin_bloom_summary',
  'pg_brin_minmax_multi_summary',
  'pg_dependencies',
  'pg_mcv_list',
  'pg_ndistinct',
  'pg_node_tree',
]);

/**
 * What `format_type` writes for a type made with the server: `timestamp(3) with time zone`, `"char"`. A source whose
 * answers somebody forges, such as its superuser, could otherwise have the warehouse run SQL as the loader.
 */
const BUILT_IN_TYPE =
  /^(?:"\w+"|[a-z]\w*|(?:character|bit) varying|double precision|interval \w+(?: to \w+)?)(?:\(-?\d+(?:,-?\d+)?\))?(?: with(?:out)? time zone)?$/;

function mapBuiltIn(type: SourceType, name: string, warehouse: WarehouseTypes): TypeMapping {
  const catalog = objectCatalogs[type.name];
  if (catalog !== undefined) return { ...asText(''), read: 'object name', catalog };
  const unreadable = neverRead.has(type.name) || type.name.startsWith('reg');
  const has = warehouse.builtIn.has(type.name) && BUILT_IN_TYPE.test(name);
  if (unreadable || !type.hasBinaryFormat || !has) return asText('');
  const kept = warehouse.anyScale || !hasUnusualScale(name) ? name : 'numeric';
  return { type: kept, decision: 'kept', read: 'as is', binary: !warehouse.textOnly.has(type.name) };
}

/** `numeric(3,-2)`, `numeric(3,5)`. */
function hasUnusualScale(name: string): boolean {
  const [, precision, scale] = /^numeric\((\d+),(-?\d+)\)$/.exec(name) ?? [];
  return scale !== undefined && (Number(scale) < 0 || Number(scale) > Number(precision));
}

function mapExtensionType(type: SourceType, name: string, warehouse: WarehouseTypes): TypeMapping {
  const own = warehouse.ofExtensions.get(`${type.extension}.${type.name}`);
  if (own === undefined) return asText('');
  const modifier = /\([\w ,-]*\)$/.exec(name)?.[0] ?? '';
  return { type: `${own}${modifier}`, decision: 'kept', read: 'as is', binary: false };
}
