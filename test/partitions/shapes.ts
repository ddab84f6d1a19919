/** A partitioned table, a range of time, and the partitions to be read for it. */
export interface Shape {
  readonly name: string;
  /** Creates the table with the given name. */
  readonly create: (t: string) => string;
  /** Inserts the rows; the same for all shapes by default. */
  readonly fill?: (t: string) => string;
  readonly from?: string;
  readonly to?: string;
  /** The rows of the range, as SQL. */
  readonly where: string;
  /** Names of the partitions that are read, without that of the table; partly read ones have a `~`. */
  readonly read: readonly string[];
}

const months = (t: string, type: string, year = 2024) =>
  Array.from({ length: 12 }, (_, month) => {
    const [from, to] = [new Date(Date.UTC(year, month)), new Date(Date.UTC(year, month + 1))].map(
      (date) => `${type} '${date.toISOString().slice(0, 10)}'`,
    );
    return `CREATE TABLE ${t}_${String(month + 1).padStart(2, '0')} PARTITION OF ${t} FOR VALUES FROM (${from}) TO (${to});`;
  }).join('\n');

/** Two rows per day, in four shops, through 2024. */
const throughTheYear = (t: string) =>
  `INSERT INTO ${t} (id, day, at, shop) SELECT i, '2024-01-01'::date + i % 366, '2024-01-01'::timestamptz + i * interval '12 hours', chr(97 + i % 4)
     FROM generate_series(0, 731) i;`;

const columns = '(id int, day date, at timestamptz, shop text)';

export const fill = ({ fill: own = throughTheYear }: Shape, t: string): string => own(t);

export const shapes: readonly Shape[] = [
  {
    name: 'ranges of dates, a month that is a partition',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day); ${months(t, 'date')}`,
    from: '2024-03-01',
    to: '2024-04-01',
    where: `day >= '2024-03-01' AND day < '2024-04-01'`,
    read: ['03'],
  },
  {
    name: 'ranges of dates, cut at both ends',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day); ${months(t, 'date')}`,
    from: '2024-02-29',
    to: '2024-05-02',
    where: `day >= '2024-02-29' AND day < '2024-05-02'`,
    read: ['02~', '03', '04', '05~'],
  },
  {
    name: 'ranges of times with a zone, open at both ends, by an hour of another zone',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (at);
      CREATE TABLE ${t}_old PARTITION OF ${t} FOR VALUES FROM (MINVALUE) TO ('2024-02-01 00:00+00');
      CREATE TABLE ${t}_mid PARTITION OF ${t} FOR VALUES FROM ('2024-02-01 00:00+00') TO ('2024-06-01 00:00+00');
      CREATE TABLE ${t}_new PARTITION OF ${t} FOR VALUES FROM ('2024-06-01 00:00+00') TO (MAXVALUE);`,
    from: '2024-06-01T02:00:00+02:00',
    where: `at >= '2024-06-01 00:00+00'`,
    read: ['new'],
  },
  {
    name: 'the same, up to a moment in the last one',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (at);
      CREATE TABLE ${t}_old PARTITION OF ${t} FOR VALUES FROM (MINVALUE) TO ('2024-02-01 00:00+00');
      CREATE TABLE ${t}_new PARTITION OF ${t} FOR VALUES FROM ('2024-02-01 00:00+00') TO ('infinity');`,
    to: '2024-02-01 12:00:00.000001',
    where: `at < '2024-02-01 12:00:00.000001+00'`,
    read: ['new~', 'old'],
  },
  {
    name: 'several columns, the day second: only what fixes the first has a day',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (shop, day);
      CREATE TABLE ${t}_a1 PARTITION OF ${t} FOR VALUES FROM ('a', MINVALUE) TO ('a', '2024-07-01');
      CREATE TABLE ${t}_a2 PARTITION OF ${t} FOR VALUES FROM ('a', '2024-07-01') TO ('a', MAXVALUE);
      CREATE TABLE ${t}_b PARTITION OF ${t} FOR VALUES FROM ('b', MINVALUE) TO ('c', '2024-07-01');
      CREATE TABLE ${t}_c PARTITION OF ${t} FOR VALUES FROM ('c', '2024-07-01') TO (MAXVALUE, MAXVALUE);`,
    from: '2024-01-01',
    to: '2024-03-01',
    where: `day < '2024-03-01'`,
    read: ['a1~', 'b~', 'c~'],
  },
  {
    name: 'several columns, the day first, its bound within a day',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day, shop);
      CREATE TABLE ${t}_1 PARTITION OF ${t} FOR VALUES FROM (MINVALUE, MINVALUE) TO ('2024-03-01', 'c');
      CREATE TABLE ${t}_2 PARTITION OF ${t} FOR VALUES FROM ('2024-03-01', 'c') TO ('2024-06-01', MINVALUE);
      CREATE TABLE ${t}_3 PARTITION OF ${t} FOR VALUES FROM ('2024-06-01', MINVALUE) TO (MAXVALUE, MAXVALUE);`,
    from: '2024-03-01',
    to: '2024-06-01',
    where: `day >= '2024-03-01' AND day < '2024-06-01'`,
    read: ['1~', '2'],
  },
  {
    name: 'lists of days, of which one has NULL, and a default',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY LIST (day);
      CREATE TABLE ${t}_first PARTITION OF ${t} FOR VALUES IN ('2024-01-01', '2024-01-02');
      CREATE TABLE ${t}_odd PARTITION OF ${t} FOR VALUES IN ('2024-01-03', NULL);
      CREATE TABLE ${t}_later PARTITION OF ${t} FOR VALUES IN ('2024-02-01', '2024-03-01');
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT;`,
    fill: (t) => `${throughTheYear(t)} INSERT INTO ${t} VALUES (-1, NULL, now(), 'x');`,
    from: '2024-01-01',
    to: '2024-01-05',
    where: `day < '2024-01-05'`,
    read: ['first', 'odd~', 'rest~'],
  },
  {
    name: 'three levels: list, range, hash',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY LIST (shop);
      CREATE TABLE ${t}_ab PARTITION OF ${t} FOR VALUES IN ('a', 'b') PARTITION BY RANGE (day);
      CREATE TABLE ${t}_ab1 PARTITION OF ${t}_ab FOR VALUES FROM ('2024-01-01') TO ('2024-07-01') PARTITION BY HASH (id);
      CREATE TABLE ${t}_ab1_0 PARTITION OF ${t}_ab1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE ${t}_ab1_1 PARTITION OF ${t}_ab1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE ${t}_ab2 PARTITION OF ${t}_ab FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT;`,
    from: '2024-01-01',
    to: '2024-07-01',
    where: `day < '2024-07-01'`,
    read: ['ab1_0', 'ab1_1', 'rest~'],
  },
  {
    name: 'a default partition that others leave nothing of the range',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day); ${months(t, 'date')}
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT;`,
    fill: (t) =>
      `${throughTheYear(t)} INSERT INTO ${t} VALUES (-1, '2030-01-01', now(), 'x'), (-2, NULL, now(), 'y');`,
    from: '2024-11-01',
    to: '2025-01-01',
    where: `day >= '2024-11-01' AND day < '2025-01-01'`,
    read: ['11', '12'],
  },
  {
    name: 'a default partition that has rows of the range',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day); ${months(t, 'date')}
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT; ALTER TABLE ${t} DETACH PARTITION ${t}_11; DROP TABLE ${t}_11;`,
    from: '2024-11-01',
    to: '2025-01-01',
    where: `day >= '2024-11-01' AND day < '2025-01-01'`,
    read: ['12', 'rest~'],
  },
  {
    name: 'an expression, beside others with a comma in them',
    create: (
      t,
    ) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE ((lower(shop || ', ')), date_trunc('month', at AT TIME ZONE 'UTC'));
      CREATE TABLE ${t}_ab1 PARTITION OF ${t} FOR VALUES FROM ('a', MINVALUE) TO ('c', MINVALUE);
      CREATE TABLE ${t}_c1 PARTITION OF ${t} FOR VALUES FROM ('c', MINVALUE) TO ('c, ', '2024-07-01');
      CREATE TABLE ${t}_c2 PARTITION OF ${t} FOR VALUES FROM ('c, ', '2024-07-01') TO ('c, ', MAXVALUE);
      CREATE TABLE ${t}_d PARTITION OF ${t} FOR VALUES FROM ('c, ', MAXVALUE) TO (MAXVALUE, MAXVALUE);`,
    from: '2024-02-01',
    to: '2024-04-01',
    where: `date_trunc('month', at AT TIME ZONE 'UTC') >= '2024-02-01' AND date_trunc('month', at AT TIME ZONE 'UTC') < '2024-04-01'`,
    read: ['ab1~', 'c1~', 'd~'],
  },
  {
    name: 'an expression alone, of a domain over dates, before Christ and beyond all dates',
    create: (
      t,
    ) => `CREATE DOMAIN ${t}_day AS date; CREATE TABLE ${t} (id int, day date, at timestamptz, shop text, kept ${t}_day)
        PARTITION BY RANGE (((day + 0)::${t}_day));
      CREATE TABLE ${t}_bc PARTITION OF ${t} FOR VALUES FROM ('-infinity') TO ('0044-03-15 BC');
      CREATE TABLE ${t}_ad PARTITION OF ${t} FOR VALUES FROM ('0044-03-15 BC') TO ('2024-03-01');
      CREATE TABLE ${t}_now PARTITION OF ${t} FOR VALUES FROM ('2024-03-01') TO ('20240-01-01');
      CREATE TABLE ${t}_end PARTITION OF ${t} FOR VALUES FROM ('20240-01-01') TO ('infinity');`,
    from: '2024-03-01',
    where: `day >= '2024-03-01'`,
    read: ['end', 'now'],
  },
  {
    name: 'a parent whose leaves lie elsewhere, with other orders of columns and columns that were dropped',
    create: (t) => `CREATE SCHEMA "${t} old"; CREATE DOMAIN ${t}_code AS varchar(9) CHECK (length(value) > 0);
      CREATE TABLE ${t} (gone int, id int, day date, at timestamptz, shop text, code ${t}_code, "Odd ""x""" numeric(9,2)) PARTITION BY RANGE (day);
      ALTER TABLE ${t} DROP gone;
      CREATE TABLE "${t} old"."_old" ("Odd ""x""" numeric(9,2), lost text, code ${t}_code, shop text, extra int, day date, id int, at timestamptz);
      ALTER TABLE "${t} old"."_old" DROP lost, DROP extra;
      ALTER TABLE ${t} ATTACH PARTITION "${t} old"."_old" FOR VALUES FROM ('2024-01-01') TO ('2024-06-01');
      CREATE TABLE ${t}_new PARTITION OF ${t} FOR VALUES FROM ('2024-06-01') TO ('2025-01-01');`,
    fill: (
      t,
    ) => `INSERT INTO ${t} (id, day, at, shop, code, "Odd ""x""") SELECT i, '2024-01-01'::date + i % 366, now(), 'é' || i, 'c' || i, i / 7.0
     FROM generate_series(0, 731) i`,
    from: '2024-05-15',
    to: '2024-06-15',
    where: `day >= '2024-05-15' AND day < '2024-06-15'`,
    read: ['new~', ' old._old~'],
  },
  {
    name: 'a default partition that has rows of the range, as another column of the key has no value',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day, shop);
      CREATE TABLE ${t}_1 PARTITION OF ${t} FOR VALUES FROM ('2024-01-01', MINVALUE) TO ('2024-02-01', MINVALUE);
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT PARTITION BY LIST (shop);
      CREATE TABLE ${t}_rest_null PARTITION OF ${t}_rest FOR VALUES IN (NULL);
      CREATE TABLE ${t}_rest_rest PARTITION OF ${t}_rest DEFAULT;`,
    fill: (t) =>
      `${throughTheYear(t)} INSERT INTO ${t} VALUES (-1, '2024-01-15', now(), NULL), (-2, NULL, now(), 'a'), (-3, NULL, now(), NULL);`,
    from: '2024-01-01',
    to: '2024-02-01',
    where: `day >= '2024-01-01' AND day < '2024-02-01'`,
    read: ['1', 'rest_null~', 'rest_rest~'],
  },
  {
    name: 'a default partition that has none of the range, as the other columns of the key must have values',
    create: (
      t,
    ) => `CREATE TABLE ${t} (id int, day date, at timestamptz, shop text NOT NULL) PARTITION BY RANGE (day, shop);
      CREATE TABLE ${t}_1 PARTITION OF ${t} FOR VALUES FROM ('2024-01-01', MINVALUE) TO ('2024-02-01', MINVALUE);
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT;`,
    fill: (t) => `${throughTheYear(t)} INSERT INTO ${t} VALUES (-1, NULL, now(), 'a');`,
    from: '2024-01-01',
    to: '2024-02-01',
    where: `day >= '2024-01-01' AND day < '2024-02-01'`,
    read: ['1'],
  },
  {
    name: 'the same, where only rows that came later must have values',
    create: (t) => `CREATE TABLE ${t} ${columns} PARTITION BY RANGE (day, shop);
      CREATE TABLE ${t}_1 PARTITION OF ${t} FOR VALUES FROM ('2024-01-01', MINVALUE) TO ('2024-02-01', MINVALUE);
      CREATE TABLE ${t}_rest PARTITION OF ${t} DEFAULT;`,
    fill: (t) =>
      `${throughTheYear(t)} INSERT INTO ${t} VALUES (-1, '2024-01-15', now(), NULL); ALTER TABLE ${t} ADD NOT NULL shop NOT VALID;`,
    from: '2024-01-01',
    to: '2024-02-01',
    where: `day >= '2024-01-01' AND day < '2024-02-01'`,
    read: ['1', 'rest~'],
  },
];
