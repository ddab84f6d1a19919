/**
 * Values, by type and as SQL, that extractors are known to lose.
 *
 * They exercise each feature of a type: limits, infinities, empty values, characters that a text format escapes.
 */
export const difficultValues: Readonly<Record<string, readonly string[]>> = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
  numeric: [
    "'NaN'",
    "'Infinity'",
    "'-Infinity'",
    "'0.00000'",
    "'1.10'",
    "repeat('9', 500)::numeric / 1e250",
    "'1e-300'",
  ],
  'numeric(10,2)': ['-99999999.99', '0.10'],
  'numeric(3,-2)': ['99900', '-100'],
  real: ["'-0'", "'NaN'", "'Infinity'", "'1.1754944e-38'", "'3.4028235e38'", '0.1', '16777217'],
  'double precision': [
    "'-0'",
    "'NaN'",
    "'-Infinity'",
    "'5e-324'",
    "'1.7976931348623157e308'",
    "'0.30000000000000004'",
  ],
  money: ["'-92233720368547758.08'", "'0.01'"],
  text: [
    "''",
    "'NULL'",
    String.raw`'\N'`,
    String.raw`'\.'`,
    String.raw`E'tab\tline\nreturn\rback\\slash\b\f\v'`,
    `'quotes '' and "'`,
    "'naïve 日本語 👩‍👩‍👧'",
    'chr(1) || chr(127) || chr(1114111)',
    "repeat('ä', 100000)",
  ],
  'character varying(10)': ["''", "'ten chars '"],
  'character(4)': ["'ab'", "''"],
  '"char"': ["'a'", String.raw`'\377'`],
  name: ["'a name'"],
  bytea: ["''", "(SELECT string_agg(set_byte('\\x00', 0, i), '') FROM generate_series(0, 255) i)"],
  date: ["'infinity'", "'-infinity'", "'4714-11-24 BC'", "'5874897-12-31'", "'10000-01-01'", "'0001-01-01'"],
  'time without time zone': ["'24:00'", "'00:00:00.000001'"],
  'time with time zone': ["'24:00-15:59'", "'12:34:56.123456+05:30'"],
  'timestamp without time zone': ["'infinity'", "'4714-11-24 00:00 BC'", "'294276-12-31 23:59:59.999999'"],
  'timestamp(3) without time zone': ["'2024-02-29 23:59:59.999'"],
  'timestamp with time zone': [
    "'-infinity'",
    "'1883-11-18 12:03:57.999999-05'",
    "'2024-03-31 02:30+01'",
    "'10000-01-01Z'",
  ],
  interval: ["'178000000 years'", "'-1 mon 2 days -03:00:00.000001'", "'infinity'", "'-infinity'"],
  'interval day to second(3)': ["'1 day 00:00:00.123'"],
  uuid: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
  inet: ["'::ffff:1.2.3.4/96'", "'10.0.0.1'", "'10.0.0.1/8'"],
  cidr: ["'10.0.0.0/8'", "'::/0'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  macaddr8: ["'08:00:2b:01:02:03:04:05'"],
  'bit(3)': ["B'101'"],
  'bit varying': ["B''", "B'1011011101111'"],
  json: [String.raw`'{"a":1,  "a":2, "b" : null, "c":"\u00e4"}'`, "'null'", "' [ ] '"],
  jsonb: ["'null'", `'{"a":null,"b":{"c":[]}}'`, "'1.10'", "'1e400'", '\'""\'', String.raw`'"\\N\n\t"'`],
  jsonpath: ["'$.a[*] ? (@ > 1)'"],
  xml: ["'<a>1</a>'", "XMLPARSE(CONTENT 'text <b/> <c/>')"],
  point: ["'(-0,NaN)'", "'(1e300,-Infinity)'"],
  line: ["'{1,-1,0}'"],
  lseg: ["'[(0,0),(1,1)]'"],
  box: ["'(1,1),(0,0)'"],
  path: ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"],
  polygon: ["'((0,0),(1,1),(1,0))'"],
  circle: ["'<(0,0),1>'"],
  tsvector: [`'fat:1A cat:2B,3'`, "''"],
  int4range: ["'empty'", "'[1,)'", "'(,)'"],
  numrange: ["'[1.10,2.0)'"],
  tstzrange: ["'[2024-01-01Z,infinity]'"],
  int4multirange: ["'{}'", "'{[1,2),[5,)}'"],
  'integer[]': ["'{}'", "'{1,NULL,3}'", "'[-2:0]={1,2,3}'", "'{{1,2},{3,4}}'", "'[0:1][2:3]={{1,2},{3,4}}'"],
  'text[]': [String.raw`'{"",NULL,"NULL","null","a,b","{}","\\","\""}'`, "ARRAY[E'\\n\\t', '\\N']"],
  'numeric[]': ["'{NaN,1.10,Infinity}'"],
  'timestamp with time zone[]': ["'{infinity,2024-03-31 02:30+01}'"],
  'jsonb[]': [`ARRAY['null', NULL, '{"a,b":"\\""}']::jsonb[]`],
  'bytea[]': [`ARRAY['', '\\x00ff']::bytea[]`],
  'character varying(10)[]': [`'{"",NULL,a}'`],
  'int4range[]': [`'{empty,"[1,2)"}'`],
  oid: ['0', '4294967295'],
  xid8: ["'18446744073709551615'"],
  pg_lsn: ["'FFFFFFFF/FFFFFFFF'"],
  pg_snapshot: ["'10:20:10,14,15'"],
  int2vector: ["'1 2 3'"],
  oidvector: ["'1 2 3'"],
};

/** Types of the server that are only copied as text. */
const textOnlyValues: typeof difficultValues = { tsquery: ["'fat & (cat | !dog:*)'", "''"] };

/** Values and types introduced by a version of PostgreSQL. */
const newValues: readonly {
  readonly since: number;
  readonly type: string;
  readonly values?: readonly string[];
}[] = [
  { since: 15_00_00, type: 'numeric(3,-2)' },
  { since: 17_00_00, type: 'interval', values: ["'infinity'", "'-infinity'"] },
];

function valuesOf(type: string, version: number): readonly string[] {
  const added = newValues.find((candidate) => candidate.type === type);
  const all = { ...difficultValues, ...textOnlyValues }[type] ?? [];
  if (added === undefined || version >= added.since) return all;
  return added.values === undefined ? [] : all.filter((value) => !added.values?.includes(value));
}

/** Returns SQL for a table with a column per type, whose rows have the next difficult value of each, then NULL. */
export function difficultTable(
  name: string,
  format: 'binary' | 'text',
  version = Number.POSITIVE_INFINITY,
): string {
  const listed = format === 'binary' ? difficultValues : { ...difficultValues, ...textOnlyValues };
  const all = Object.fromEntries(Object.keys(listed).map((type) => [type, valuesOf(type, version)]));
  const types = Object.keys(all).filter((type) => all[type]?.length !== 0);
  const columns = types.map((type) => `"${type.replaceAll('"', '')}" ${type}`);
  const rows = Math.max(...types.map((type) => all[type]?.length ?? 0));
  const inserts = Array.from({ length: rows + 1 }, (_, row) => {
    const values = types.map((type) => {
      const value = all[type]?.[row];
      return value === undefined ? 'NULL' : `(${value})::${type}`;
    });
    return `INSERT INTO ${name} VALUES (${values.join(', ')})`;
  });
  return [`CREATE TABLE ${name} (${columns.join(', ')})`, ...inserts].join(';\n');
}

/** Returns SQL for a table of types created in the source, none of which the warehouse has. */
export const madeTypesTable = (
  name: string,
): string => `CREATE TYPE mood AS ENUM ('so so', 'it''s "fine"', '\\N', '');
  CREATE DOMAIN price AS numeric(12,4) CHECK (VALUE >= 0); CREATE DOMAIN net_price AS price;
  CREATE DOMAIN moody AS mood; CREATE DOMAIN numbers AS int[];
  CREATE TYPE inner_pair AS (at timestamptz, m mood); CREATE TYPE pair AS (a int, b text, c inner_pair);
  CREATE TYPE frange AS RANGE (subtype = float8);
  CREATE TABLE ${name} (m mood, ms mood[], p price, n net_price, ns net_price[], y moody, i numbers,
                     c pair, cs pair[], f frange, r regclass);
    INSERT INTO ${name} VALUES
    ('so so', '{"so so",NULL,"\\\\N",""}', 1.10, 2, '{1.5,NULL}', '', '{1,NULL}',
     ROW(1, E'a\\n"b"', ROW('2024-01-01Z', 'so so')), ARRAY[ROW(NULL, '', NULL), NULL]::pair[], '[1,2]', 'pg_class'),
    ('', '{}', 0, 0, '{}', NULL, '{}', ROW(NULL, NULL, NULL), '{}', 'empty', NULL),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`;

/** Expressions for the columns whose text differs in bronze. */
export const madeTypesAs = { c: 'to_jsonb(c)', cs: 'to_jsonb(cs)', r: "'pg_catalog.' || r::text" };
