import { expect } from 'vitest';
import { extractIncrement } from '../setup/incremental.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

export interface Cursor {
  readonly type: string;
  /** In the order of the type, which differs from that of their text. */
  readonly values: readonly [string, string, string];
}

export const cursors: readonly Cursor[] = [
  { type: 'timestamptz', values: ['0044-03-15 12:00:00+00 BC', '1999-12-31 23:59:59.999999+00', '2000-01-01 00:00:00+00'] },
  { type: 'timestamp(3)', values: ['0044-03-15 12:00:00 BC', '1999-12-31 23:59:59.999', '2000-01-01 00:00:00'] },
  { type: 'date', values: ['0044-03-15 BC', '1999-12-31', '2000-01-01'] },
  { type: 'smallint', values: ['-32768', '9', '10'] },
  { type: 'integer', values: ['-2147483648', '9', '10'] },
  { type: 'bigint', values: ['-9223372036854775808', '9007199254740993', '9223372036854775807'] },
  { type: 'numeric', values: ['-1e30', '9.000000000000000000001', '123456789012345678901234567890.5'] },
  { type: 'numeric(30,3)', values: ['-5', '9.001', '10.25'] },
  { type: 'text', values: ['B', 'a', 'ä'] },
  { type: 'varchar(20)', values: ['B', 'a', 'ä'] },
  { type: 'uuid', values: ['00000000-0000-0000-0000-00000000000a', '0a000000-0000-7000-8000-000000000000', 'fa000000-0000-7000-8000-000000000000'] },
]; // prettier-ignore

/** Runs three increments, each with one more value, in the order of the type. */
export async function expectOrderedByValue(
  lab: Lab,
  table: string,
  { type, values }: Cursor,
  index: string,
): Promise<void> {
  const request = { table, write: 'merge', incremental: { column: 'c', lookback: 0 } } as const;
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, c ${type})`);
  if (index === 'with an index') await lab.source.query(`CREATE INDEX ON ${table} (c)`);
  const [low, middle, high] = values;
  await lab.source.query(`INSERT INTO ${table} VALUES (1, $1)`, [low]);
  await extractIncrement(lab, request);
  await lab.source.query(`INSERT INTO ${table} VALUES (2, $1)`, [middle]);
  await extractIncrement(lab, request);
  await lab.source.query(`INSERT INTO ${table} VALUES (3, $1)`, [high]);
  const { incremental, rows } = await extractIncrement(lab, request);
  expect(incremental.added).toBe(1);
  expect(rows).toBeLessThanOrEqual(3);
  const { rows: same } = await lab.source.query(`SELECT $1::${type} <= $2::${type} AS behind, $1::${type} > $3::${type} AS ahead`, [
    incremental.checkpoint, high, low,
  ]); // prettier-ignore
  expect(same).toEqual([{ behind: true, ahead: true }]);
  await expectSameRows(lab, table, `bronze.br_${table}`);
}

/** Values beyond all others of a type. */
export interface Endless {
  readonly type: string;
  readonly most: string;
  readonly least: string;
}

export const endless: readonly Endless[] = [
  { type: 'timestamptz', most: 'infinity', least: '-infinity' },
  { type: 'timestamp', most: 'infinity', least: '-infinity' },
  { type: 'date', most: 'infinity', least: '-infinity' },
  { type: 'numeric', most: 'NaN', least: '-Infinity' },
  { type: 'numeric', most: 'Infinity', least: '-Infinity' },
];

export async function expectNoCheckpoint(
  lab: Lab,
  table: string,
  { type, most, least }: Endless,
): Promise<void> {
  const value = (n: number) => (type === 'numeric' ? String(n) : `2024-01-0${n}`);
  await lab.source.query(
    `CREATE TABLE ${table} (id int PRIMARY KEY, c ${type}); CREATE INDEX ON ${table} (c)`,
  );
  await lab.source.query(`INSERT INTO ${table} VALUES (1, $1), (2, $2), (3, $3)`, [value(1), most, least]);
  for (const n of [2, 3]) {
    await extractIncrement(lab, { table, incremental: { column: 'c', lookback: 0 } });
    await lab.source.query(`INSERT INTO ${table} VALUES (${n + 2}, $1)`, [value(n)]);
  }
  const { incremental } = await extractIncrement(lab, { table, incremental: { column: 'c', lookback: 0 } });
  expect(incremental).toMatchObject({
    added: 1,
    checkpoint: expect.not.stringMatching(/inf|nan/i) as string,
  });
  await expectSameRows(lab, table, `bronze.br_${table}`);
}
