import { describe, expect, test } from 'vitest';
import { mapColumn, type TypeMapping } from '../../src/bronze/schema/type-mapping.ts';
import type { SourceType } from '../../src/postgres/catalog/columns.ts';

let nextOid = 1;

function type(name: string, other: Partial<SourceType> = {}): SourceType {
  nextOid += 1;
  const builtIn = {
    oid: nextOid,
    schema: 'pg_catalog',
    name,
    kind: 'base',
    elementOid: 0,
    baseOid: 0,
  } as const;
  return { ...builtIn, baseType: null, extension: null, builtIn: true, hasBinaryFormat: true, ...other };
}

const own = { schema: 'public', builtIn: false } as const;
const arrayOf = (element: SourceType): SourceType =>
  type(`_${element.name}`, { elementOid: element.oid, builtIn: element.builtIn, schema: element.schema });
const domainOver = (base: SourceType, baseType: string): SourceType =>
  type('a_domain', { ...own, kind: 'domain', baseOid: base.oid, baseType });

const int4 = type('int4');
const numeric = type('numeric');
const varchar = type('varchar');
const mood = type('mood', { ...own, kind: 'enum' });
const address = type('address', { ...own, kind: 'composite' });
const regclass = type('regclass');
const hstore = type('hstore', { ...own, extension: 'hstore' });
const geometry = type('geometry', { ...own, extension: 'postgis' });
const price = domainOver(numeric, 'numeric(10,2)');

const warehouse = {
  builtIn: new Set([
    'int4',
    'numeric',
    'varchar',
    'regclass',
    'aclitem',
    'tsquery',
    'int4range',
    'int4multirange',
    'float8',
  ]),
  textOnly: new Set(['tsquery']),
  anyScale: true,
  ofExtensions: new Map([
    ['hstore.hstore', 'extensions.hstore'],
    ['postgis.geometry', 'gis.geometry'],
  ]),
};

/** Maps a column of this type, whose name includes its modifier. */
function mapped(column: SourceType, name: string, ...involved: SourceType[]): TypeMapping {
  const types = new Map([column, ...involved].map((one) => [one.oid, one]));
  return mapColumn(
    { name: 'c', typeOid: column.oid, type: name, nullable: true, readable: true },
    types,
    warehouse,
  );
}

const kept = { decision: 'kept', read: 'as is', binary: true } as const;
const text = { decision: 'text', read: 'cast', binary: true } as const;
const jsonb = { type: 'jsonb', decision: 'jsonb', read: 'to_jsonb', binary: true } as const;

describe('a type made with the server is kept, with its modifier', () => {
  test.each([
    [int4, 'integer'],
    [numeric, 'numeric(10,2)'],
    [varchar, 'character varying(10)'],
    [type('int4range', { kind: 'range' }), 'int4range'],
    [type('int4multirange', { kind: 'multirange' }), 'int4multirange'],
  ])('%o', (column, name) => {
    expect(mapped(column, name)).toEqual({ type: name, ...kept });
  });

  test('and so are its arrays', () => {
    expect(mapped(arrayOf(varchar), 'character varying(10)[]', varchar)).toEqual({
      type: 'character varying(10)[]',
      ...kept,
    });
  });
});

describe('a name is SQL for the warehouse only if it is that of a type', () => {
  test.each([
    'timestamp(3) without time zone',
    'time with time zone',
    'interval day to second(3)',
    'interval(3)',
    'interval year',
    'double precision',
    'bit varying(5)',
    'bpchar',
    '"bit"',
    '"char"',
    'numeric(3,-2)',
  ])('%s is', (name) => {
    expect(mapped(varchar, name)).toEqual({ type: name, ...kept });
  });

  test.each([
    'integer DEFAULT session_user',
    'integer unique',
    'interval); DROP TABLE t; --',
    'numeric(1);',
    'integer(1) collate x',
    'interval day to x default y',
    '',
  ])('"%s" is not', (name) => {
    expect(mapped(varchar, name)).toEqual({ type: 'text', ...text });
    expect(mapped(arrayOf(varchar), `${name}[]`, varchar)).toEqual({ type: 'text[]', ...text });
  });

  test('nor is that of the modifier of an extension', () => {
    const { type: found } = mapped(geometry, "geometry('x'; DROP TABLE t; SELECT 'y')");
    expect(found).toBe('gis.geometry');
  });
});

describe('what means something in the source only becomes text', () => {
  test.each([
    ['an enum', mood, 'mood'],
    ['a type without a binary form', type('aclitem', { hasBinaryFormat: false }), 'aclitem'],
    ['a type that the warehouse lacks', type('newtype'), 'newtype'],
    [
      'a type of an extension that the warehouse lacks',
      type('ltree', { ...own, extension: 'ltree' }),
      'ltree',
    ],
    ['a type that nobody’s extension made', type('odd', own), 'odd'],
    ['a range of somebody’s own', type('floatrange', { ...own, kind: 'range' }), 'floatrange'],
    ['a pseudo-type', type('record', { kind: 'pseudo' }), 'record'],
  ])('%s', (_name, column, name) => {
    expect(mapped(column, name)).toEqual({ type: 'text', ...text });
    expect(mapped(arrayOf(column), `${name}[]`, column)).toEqual({ type: 'text[]', ...text });
  });

  test('an OID that names an object, by its name in full', () => {
    const name = { ...text, read: 'object name', catalog: 'pg_class' };
    expect(mapped(regclass, 'regclass')).toEqual({ type: 'text', ...name });
    expect(mapped(arrayOf(regclass), 'regclass[]', regclass)).toEqual({
      ...name,
      type: 'text[]',
      read: 'object names',
    });
  });

  test('an array of a domain over an array', () => {
    const ints = arrayOf(int4);
    const numbers = domainOver(ints, 'integer[]');
    expect(mapped(arrayOf(numbers), 'numbers[]', numbers, ints, int4)).toEqual({ type: 'text[]', ...text });
  });

  test('a type that the catalog did not tell of', () => {
    const column = { name: 'c', typeOid: 999_999, type: '???', nullable: true, readable: true };
    expect(mapColumn(column, new Map(), warehouse)).toEqual({ type: 'text', ...text });
  });
});

describe('a domain becomes its base type', () => {
  test('with the modifier that the domain has', () => {
    expect(mapped(price, 'price', numeric)).toEqual({
      ...kept,
      type: 'numeric(10,2)',
      decision: 'base type',
      read: 'cast',
    });
  });

  test('down through domains over domains', () => {
    const outer = domainOver(price, 'price');
    expect(mapped(outer, 'outer', price, numeric)).toMatchObject({
      type: 'numeric(10,2)',
      decision: 'base type',
      read: 'cast',
    });
  });

  test('in arrays, and of arrays', () => {
    expect(mapped(arrayOf(price), 'price[]', price, numeric)).toMatchObject({
      type: 'numeric(10,2)[]',
      read: 'cast',
    });
    const ofArray = domainOver(arrayOf(int4), 'integer[]');
    const array = arrayOf(int4);
    const column = { ...ofArray, baseOid: array.oid };
    expect(mapped(column, 'ints', array, int4)).toMatchObject({ type: 'integer[]', read: 'cast' });
  });

  test('over an enum becomes text, over a composite jsonb', () => {
    expect(mapped(domainOver(mood, 'mood'), 'd', mood)).toEqual({ type: 'text', ...text });
    expect(mapped(domainOver(address, 'address'), 'd', address)).toEqual(jsonb);
  });
});

test('a composite, and an array of them, becomes jsonb', () => {
  expect(mapped(address, 'address')).toEqual(jsonb);
  expect(mapped(arrayOf(address), 'address[]', address)).toEqual(jsonb);
});

describe('a type of an extension that the warehouse has', () => {
  test('is kept where the warehouse has it, and travels as text, since its OID is another there', () => {
    expect(mapped(hstore, 'hstore')).toEqual({ ...kept, type: 'extensions.hstore', binary: false });
    expect(mapped(arrayOf(hstore), 'hstore[]', hstore)).toEqual({
      ...kept,
      type: 'extensions.hstore[]',
      binary: false,
    });
  });

  test('keeps its modifier', () => {
    expect(mapped(geometry, 'gis.geometry(Point,4326)').type).toBe('gis.geometry(Point,4326)');
    expect(mapped(geometry, '"odd(1)"').type).toBe('gis.geometry');
  });
});
