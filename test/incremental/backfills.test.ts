import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { checkpointsOf, extractIncrement, type IncrementalResult } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** Ten rows per day, for ten days of January. */
beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, name text, at timestamptz);
    INSERT INTO ${table} SELECT i, 'name ' || i, timestamptz '2024-01-01 00:00+00' + i * interval '2.4 hours' FROM generate_series(0, 99) i`);
});

const run = async (
  more: Partial<ExtractTableRequest> = {},
  bounds: object = {},
): Promise<IncrementalResult> =>
  extractIncrement(lab, {
    table,
    write: 'merge',
    incremental: { column: 'at', lookback: 0, ...bounds },
    ...more,
  });

const LAST = '2024-01-10 21:36:00+00';

describe('a backfill', () => {
  test('reads its range anew, and leaves the checkpoint where it is', async () => {
    await run();
    await lab.source.query(`UPDATE ${table} SET name = 'corrected' WHERE id < 20`);
    const { incremental, rows } = await run({}, { from: '2024-01-01', to: '2024-01-02' });
    expect(incremental).toMatchObject({ replaced: 10, checkpoint: LAST, previousCheckpoint: LAST });
    expect(rows).toBe(10);
    await run({}, { to: '2024-01-03' });
    await expectSameRows(lab, table, bronze);
    expect(await checkpointsOf(lab, `br_${table}`)).toEqual([`${LAST} success`]);
  });

  test('from a value on that joins the checkpoint moves it on, and never back', async () => {
    await run();
    await lab.source.query(`INSERT INTO ${table} VALUES (100, 'new', '2024-01-11 00:00+00')`);
    const { incremental } = await run({}, { from: '2024-01-05' });
    expect(incremental).toMatchObject({ added: 1, unchanged: 60, checkpoint: '2024-01-11 00:00:00+00' });
    await expectSameRows(lab, table, bronze);
    expect((await run({}, { from: '2023-01-01', to: '2024-01-02' })).incremental.checkpoint).toBe(
      '2024-01-11 00:00:00+00',
    );
  });

  test('from a value beyond the checkpoint does not move it over the gap', { tags: 'long' }, async () => {
    await run();
    await lab.source.query(
      `INSERT INTO ${table} VALUES (100, 'gap', '2024-02-01'), (101, 'far', '2024-03-01')`,
    );
    expect((await run({}, { from: '2024-02-15' })).incremental).toMatchObject({ added: 1, checkpoint: LAST });
    expect((await run()).incremental).toMatchObject({ added: 1, checkpoint: '2024-03-01 00:00:00+00' });
    await expectSameRows(lab, table, bronze);
  });

  test('from a value on, after a run without "incremental", sets no checkpoint: there would be a gap', async () => {
    await lab.extract({ table });
    await lab.source.query(
      `UPDATE ${table} SET name = 'gap', at = '2024-02-01' WHERE id = 1; INSERT INTO ${table} VALUES (100, 'far', '2024-03-01')`,
    );
    for (const added of [1, 0]) {
      const { incremental, warnings } = await run({}, { from: '2024-02-15' });
      expect(incremental).toMatchObject({ extraction: 'incremental', added, checkpoint: null });
      expect(warnings).toEqual([expect.stringMatching(/has no checkpoint.*so with "from" it sets none/)]);
    }
    expect((await run()).incremental).toMatchObject({
      extraction: 'full',
      checkpoint: '2024-03-01 00:00:00+00',
    });
    await expectSameRows(lab, table, bronze);
    expect((await run({}, { from: '2024-02-15' })).warnings).toEqual([]);
  });

  test('as the first run says where the table begins', { tags: 'long' }, async () => {
    const first = await run({}, { from: '2024-01-09' });
    expect(first.incremental).toMatchObject({ extraction: 'full', added: 20, checkpoint: LAST });
    await lab.source.query(`INSERT INTO ${table} VALUES (100, 'new', '2024-01-11')`);
    expect((await run()).incremental).toMatchObject({ extraction: 'incremental', added: 1 });
    await run({}, { to: '2024-01-09' });
    await expectSameRows(lab, table, bronze);
  });

  test('of one range after the other fills a table, but only a run of everything sets a first checkpoint', async () => {
    for (const [from, to] of [
      ['2024-01-01', '2024-01-04'],
      ['2024-01-07', '2024-01-10'],
    ]) {
      const { incremental } = await run({}, { from, to });
      expect(incremental).toMatchObject({ added: 30, checkpoint: null });
    }
    const { incremental, warnings } = await run({}, { from: '2024-01-10' });
    expect(incremental).toMatchObject({ extraction: 'incremental', added: 10, checkpoint: null });
    expect(warnings).toEqual([expect.stringMatching(/has no checkpoint.*so with "from" it sets none/)]);
    expect((await run()).incremental).toMatchObject({ extraction: 'full', added: 100, checkpoint: LAST });
    await expectSameRows(lab, table, bronze);
  });

  test('that cannot be is refused', async () => {
    await run();
    for (const [bounds, message] of [
      [{ from: 'yesterdayish' }, /"incremental.from" is not a valid timestamp with time zone/],
      [{ to: '2024-13-01' }, /"incremental.to" is not a valid/],
      [{ from: '01.02.2024' }, /"incremental.from" begins with a day or a month: write the year first/],
      [{ from: '2024-02-01', to: '2024-01-01' }, /"incremental.from" is not below "incremental.to"/],
      [{ from: `2024-01-01'); DROP TABLE x; --` }, /is not a valid/],
      [{ lookback: 5 }, /"incremental.lookback" of a timestamptz is a duration/],
    ] as const) {
      await expect(run({}, bounds), JSON.stringify(bounds)).rejects.toMatchObject({
        cause: { type: 'InvalidInput', message: expect.stringMatching(message) as string },
      });
    }
  });
});

testVariants(['timestamp', 'date'])(
  'a bound with a time zone is refused for a %s, which has none',
  async (type) => {
    await lab.source.query(`ALTER TABLE ${table} ALTER at TYPE ${type} USING at AT TIME ZONE 'UTC'`);
    await run({}, { from: '2024-01-01T00:00:00Z' });
    for (const [bound, value] of [
      ['from', '2024-01-01T03:00:00+02:00'],
      ['to', '2024-01-05 23:00 America/New_York'],
    ]) {
      await expectFailure(run({}, { [String(bound)]: value }), 'InvalidInput', 'has a time zone');
    }
  },
);

testVariants(['timestamptz', 'date'])('a lookback beyond the first %s is refused', async (type) => {
  await lab.source.query(`TRUNCATE ${table}; ALTER TABLE ${table} ALTER at TYPE ${type};
    INSERT INTO ${table} VALUES (1, 'first', '4713-11-25 BC')`);
  const lookback = '100000 days';
  await run({}, { lookback });
  await expectFailure(run({}, { lookback }), 'InvalidInput', 'goes back beyond the first');
});

describe('resetCheckpoint', () => {
  test('extracts everything anew, and goes on from there', { tags: 'long' }, async () => {
    await run();
    await lab.source.query(`DELETE FROM ${table} WHERE id < 50`);
    const { incremental } = await run({ resetCheckpoint: true });
    expect(incremental).toMatchObject({
      extraction: 'full',
      added: 50,
      previousCheckpoint: null,
      checkpoint: LAST,
    });
    await expectSameRows(lab, table, bronze);
    expect(await checkpointsOf(lab, `br_${table}`)).toEqual([`${LAST} superseded`, `${LAST} success`]);
    expect((await run()).incremental.extraction).toBe('incremental');
  });

  testVariants<[string, Partial<ExtractTableRequest>]>([
    ['write', { write: 'append' }],
    ['where', { where: 'id > 5' }],
    ['key', { key: ['name'] }],
    ['incremental.column', { incremental: { column: 'id' } }],
  ])('is asked for where "%s" is another than that of the checkpoint', async ([input, more]) => {
    await run();
    await expectFailure(run(more), 'CheckpointConflict', `"${input}"`);
    await run({ ...more, resetCheckpoint: true });
    await run(more);
  });
});

test('a large catch-up is chunked, a small increment is one range of the index', async () => {
  await lab.source
    .query(`INSERT INTO ${table} SELECT i, repeat('x', 200), timestamptz '2023-01-01 00:00+00' + i * interval '1 second' FROM generate_series(100, 15000) i;
    CREATE INDEX ON ${table} (at); ANALYZE ${table}`);
  const chunkSize = '256kB';
  expect((await run({ chunkSize })).chunks).toBeGreaterThan(5);
  await lab.source.query(
    `UPDATE ${table} SET at = at + interval '2 years' WHERE id % 2 = 0; ANALYZE ${table}`,
  );
  expect((await run({ chunkSize })).chunks).toBeGreaterThan(5);
  await lab.source.query(`UPDATE ${table} SET at = '2026-02-01' WHERE id < 10; ANALYZE ${table}`);
  expect(await run({ chunkSize })).toMatchObject({ chunks: 1, incremental: { replaced: 10 } });
  await expectSameRows(lab, table, bronze);
});
