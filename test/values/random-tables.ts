import { escapeIdentifier, escapeLiteral } from 'pg';
import { randomName } from '../setup/random-name.ts';

type Random = () => number;

/** Generates the text of a value of some type. */
type Make = (random: Random) => string;

const pick = <T>(random: Random, choices: readonly T[]): T =>
  choices[Math.floor(random() * choices.length)] as T;
const int = (random: Random, least: number, most: number) =>
  least + Math.floor(random() * (most - least + 1));
const digits = (random: Random, most: number) =>
  Array.from({ length: int(random, 1, most) }, () => int(random, 0, 9)).join('');
const oneOf =
  (...makes: (Make | string)[]): Make =>
  (random) => {
    const make = pick(random, makes);
    return typeof make === 'string' ? make : make(random);
  };

const characters = Array.from(
  'aZ09 .,;:\'"\\/`{}[]()<>|&%$#@!?_-+=~^*\t\n\r\b\f\v\u0001\u007fäß€漢🙂\u200d\ufeff\u0301',
);
const text: Make = (random) =>
  Array.from({ length: int(random, 0, 24) }, () => pick(random, characters)).join('');
const bigText: Make = (random) => text(random).repeat(int(random, 1, 3000));
/** Characters that XML cannot contain literally. */
const noXml = new Set('<>&\u0001\b\f\v');
const hex: Make = (random) =>
  `\\x${Array.from({ length: int(random, 0, 40) }, () => int(random, 0, 255).toString(16).padStart(2, '0')).join('')}`;
const bits =
  (length: number): Make =>
  (random) =>
    Array.from({ length }, () => int(random, 0, 1)).join('');
const wide = (random: Random) => BigInt(digits(random, 18)) * (random() < 0.5 ? -1n : 1n);
const two = (value: number) => String(value).padStart(2, '0');
const date: Make = (random) => {
  const era = random() < 0.1 ? ' BC' : '';
  const year = String(int(random, 1, era === '' ? 9999 : 4700)).padStart(4, '0');
  return `${year}-${two(int(random, 1, 12))}-${two(int(random, 1, 28))}${era}`;
};
const time: Make = (random) =>
  `${two(int(random, 0, 23))}:${two(int(random, 0, 59))}:${two(int(random, 0, 59))}.${digits(random, 6)}`;
const zone: Make = (random) =>
  `${pick(random, ['+', '-'])}${two(int(random, 0, 14))}:${two(int(random, 0, 59))}`;
const stamp: Make = (random) => date(random).replace(/( BC)?$/, (era) => ` ${time(random)}${era}`);
const float: Make = oneOf(
  (random) => `${wide(random)}e${int(random, -30, 18)}`,
  '-0',
  'NaN',
  'Infinity',
  '-Infinity',
  '0.1',
);
const json: Make = oneOf('null', '{}', '[]', '""', (random) => JSON.stringify({ [text(random)]: [text(random), Number(wide(random)), null, { b: true }] }),
  (random) => `{"a" :${wide(random)}.${digits(random, 12)}, "a":1e${int(random, -300, 300)}}`); // prettier-ignore
const interval: Make = oneOf(
  'infinity',
  (random) => `${int(random, -9999, 9999)} months ${int(random, -9999, 9999)} days ${time(random)}`,
);
const inet: Make = (random) =>
  `${int(random, 0, 255)}.${int(random, 0, 255)}.${int(random, 0, 255)}.${int(random, 0, 255)}/${int(random, 0, 32)}`;
const range = (bound: (random: Random) => number): Make => oneOf('empty', '(,)', (random) => {
  const [a, b] = [bound(random), bound(random)].toSorted((x, y) => x - y);
  return `${pick(random, ['[', '('])}${a},${random() < 0.3 ? '' : b}${pick(random, [']', ')'])}`;
}); // prettier-ignore
const small = (random: Random) => int(random, -1000, 1000);

/** Generators of values by type, including limits and odd values. Types we created are in `ownTypes`. */
const makers: Readonly<Record<string, Make>> = {
  boolean: oneOf('true', 'false'),
  smallint: oneOf('-32768', '32767', (random) => String(small(random))),
  integer: oneOf('-2147483648', '2147483647', (random) => String(small(random))),
  bigint: oneOf('-9223372036854775808', '9223372036854775807', (random) => String(wide(random))),
  numeric: oneOf(
    'NaN',
    'Infinity',
    '-Infinity',
    '0.000',
    (random) => `${wide(random)}.${digits(random, 30)}`,
    (random) => digits(random, 200),
  ),
  'numeric(12,4)': (random) => `${small(random)}.${digits(random, 4)}`,
  real: oneOf('-0', 'NaN', (random) => `${small(random)}.${digits(random, 6)}e${int(random, -20, 20)}`),
  'double precision': float,
  money: (random) => `${small(random)}.${two(int(random, 0, 99))}`,
  text: oneOf('', '\\N', '\\.', 'NULL', text, bigText),
  'character varying(40)': text,
  'character(30)': text,
  '"char"': oneOf('', 'x', '\\'),
  name: text,
  bytea: oneOf('\\x', hex),
  date: oneOf('infinity', '-infinity', date),
  'time without time zone': oneOf('24:00', time),
  'time(2) with time zone': (random) => time(random) + zone(random),
  'timestamp without time zone': oneOf('infinity', stamp),
  'timestamp(3) with time zone': oneOf('-infinity', (random) =>
    stamp(random).replace(/( BC)?$/, (era) => `${zone(random)}${era}`),
  ),
  interval,
  uuid: (random) =>
    Array.from({ length: 16 }, () => int(random, 0, 255).toString(16).padStart(2, '0')).join(''),
  inet,
  macaddr: (random) => Array.from({ length: 6 }, () => two(int(random, 0, 99))).join(':'),
  'bit(7)': bits(7),
  'bit varying(80)': (random) => bits(int(random, 0, 80))(random),
  json,
  jsonb: json,
  xml: (random) =>
    `<a b="${int(random, 0, 9)}">${Array.from(text(random))
      .filter((character) => !noXml.has(character))
      .join('')}</a>`,
  point: (random) => `(${float(random)},${small(random)})`,
  box: (random) => `(${small(random)},${small(random)}),(${small(random)},${small(random)})`,
  polygon: (random) => `((${small(random)},${small(random)}),(${small(random)},${small(random)}))`,
  int4range: range(small),
  numrange: range(small),
  int8multirange: oneOf('{}', '{[1,2),[5,9)}', '{(,)}'),
  tsvector: oneOf('', "fat:1A 'it''s':2B,3", 'a b c'),
  tsquery: oneOf('', 'fat & !cat', "'odd '' one':*"),
  pg_lsn: (random) => `${digits(random, 6)}/${digits(random, 6)}`,
  oid: oneOf('4294967295', (random) => String(int(random, 0, 2 ** 31))),
  hstore: oneOf('', (random) => `a=>NULL, "b\\"c"=>"${int(random, 0, 99)}"`),
  citext: text,
};

/** Created in the source before any table. */
export const ownTypes = `CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
  CREATE TYPE "Odd mood" AS ENUM ('so so', 'it''s "fine"', '\\N', '', 'NULL');
  CREATE DOMAIN price AS numeric(12,4); CREATE DOMAIN moody AS "Odd mood"; CREATE DOMAIN key_value AS hstore;
  CREATE TYPE pair AS (a int, "B b" text, m "Odd mood"); CREATE TYPE frange AS RANGE (subtype = float8);
  CREATE DOMAIN whole AS pair`;

const moods = oneOf('so so', 'it\'s "fine"', '\\N', '', 'NULL');
const pairs: Make = oneOf(
  '(,,)',
  '(1,"a,""b",)',
  (random) => `(${small(random)},"${digits(random, 5)}",so so)`,
);
const ownMakers: typeof makers = {
  '"Odd mood"': moods,
  moody: moods,
  price: (random) => `${small(random)}.${digits(random, 4)}`,
  key_value: oneOf('', 'a=>1'),
  pair: pairs,
  whole: pairs,
  frange: range(small),
  ltree: oneOf('', 'Top.Science', 'a.b_c.d1'),
};

export interface RandomColumn {
  readonly name: string;
  readonly type: string;
  readonly isArray: boolean;
  readonly isComposite: boolean;
}

export interface RandomTable {
  readonly name: string;
  readonly columns: readonly RandomColumn[];
  /** The statements that create and fill it. */
  readonly sql: readonly string[];
  readonly values: number;
}

/** Generates a table of random columns and rows, which depends only on the numbers. */
export function randomTable(random: Random, number: number): RandomTable {
  const all = { ...makers, ...ownMakers };
  const names = new Set(Array.from({ length: int(random, 1, 14) }, () => randomName(random)));
  const columns = [...names].map((name): RandomColumn & { readonly base: string } => {
    const base = pick(random, Object.keys(all));
    const isArray = random() < 0.25;
    return {
      name,
      base,
      isArray,
      type: isArray ? `${base}[]` : base,
      isComposite: ['pair', 'whole'].includes(base),
    };
  });
  const name = `${randomName(random)} ${number}`;
  const table = escapeIdentifier(name);
  const rows = int(random, 0, 40);
  const list = columns.map((column) => `${escapeIdentifier(column.name)} ${column.type}`).join(', ');
  const sql = [`CREATE TABLE ${table} (${list})`];
  for (let row = 0; row < rows; row += 1) {
    const values = columns.map(({ base, isArray, type }) => {
      if (random() < 0.2) return 'NULL';
      const make = all[base] ?? text;
      return isArray ? arrayOf(random, base, make) : `${fitted(base, make(random))}::${type}`;
    });
    sql.push(`INSERT INTO ${table} VALUES (${values.join(', ')})`);
  }
  return { name, columns, sql, values: rows * columns.length };
}

/** Generates an array of one or two dimensions, possibly empty or with NULLs. */
function arrayOf(random: Random, type: string, make: Make): string {
  const element = () => (random() < 0.15 ? `NULL::${type}` : `${fitted(type, make(random))}::${type}`);
  const row = (length: number) => `ARRAY[${Array.from({ length }, element).join(', ')}]::${type}[]`;
  const length = int(random, 0, 4);
  if (length === 0) return `'{}'::${type}[]`;
  if (random() < 0.3) return `ARRAY[${row(length)}, ${row(length)}]`;
  return row(length);
}

/** Explicit casts truncate values for `varchar(n)`, `char(n)` and `name`, so any text will do. */
const fitted = (type: string, value: string): string =>
  escapeLiteral(type === '"char"' ? value.slice(0, 1) : value);
