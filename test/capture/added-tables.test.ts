import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaptureLab, type CaptureHandle } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let captures: CaptureLab;
let slot: string;
let handle: CaptureHandle;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
  await lab.source
    .query(`CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY, v text, big text);
    CREATE TABLE stray (id int PRIMARY KEY);
    INSERT INTO late SELECT i, 'v', (SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 100) n) FROM generate_series(1, 3000) i`);
  slot = captures.slotName();
  handle = await captures.start({ tables: ['base'], slot, mirror: true });
  await captures.untilStreaming(handle);
});
afterAll(async () => {
  await captures.end(handle, slot);
  await lab.close();
});

describe('of the tables that come and go while a capture runs,', () => {
  test('one that is added is copied without a gap, while it is written to and the stream goes on', async () => {
    const writing = new AbortController();
    const writer = (async () => {
      const client = await lab.connect('source', 'extractor');
      for (let i = 3001; !writing.signal.aborted; i += 1) {
        await client.query(`BEGIN; INSERT INTO late VALUES (${i}, 'new', NULL); UPDATE late SET v = v || 'u' WHERE id % 500 = ${i % 500};
        UPDATE late SET id = -id WHERE id = ${i - 2900}; DELETE FROM late WHERE id = ${i - 1500}; INSERT INTO base VALUES (${i}); COMMIT; SELECT pg_sleep(0.03)`);
      }
    })();
    const tables = await handle.executeUpdate('addTables', { args: [['late']] });
    expect(tables).toEqual(['public.base', 'public.late']);
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    writing.abort();
    await writer;
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'late', 'bronze.br_late');
    await expectSameRows(lab, 'base', 'bronze.br_base');
    const { rows } = await lab.warehouse.query<{ before: number; after: number }>(
      `SELECT count(*) FILTER (WHERE commit_lsn < copied_at)::int AS before, count(*)::int AS after
       FROM bronze.cdc_changes c JOIN bronze.cdc_tables t USING (capture_id, schema, "table") WHERE c."table" = 'late'`,
    );
    expect(rows[0]?.before).toBe(0);
    expect(rows[0]?.after).toBeGreaterThan(0);
  });

  test('one that cannot be copied holds up no other, and is named', async () => {
    await lab.source.query(`CREATE TABLE first_of_two (id int PRIMARY KEY, _bronze_run_id text);
      CREATE TABLE other_of_two (id int PRIMARY KEY); INSERT INTO other_of_two VALUES (1), (2)`);
    await handle.executeUpdate('addTables', { args: [['first_of_two', 'other_of_two']] });
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'other_of_two', 'bronze.br_other_of_two');
    expect((await captures.status(handle)).warnings).toEqual([
      expect.stringMatching(/^The copy of public.first_of_two failed, and is given up: .*"_bronze_run_id"/),
    ]);
    await handle.executeUpdate('removeTables', { args: [['first_of_two', 'other_of_two']] });
  });

  test('what a table has to be is checked before it is added, and refused with its reason', async () => {
    await expect(handle.executeUpdate('addTables', { args: [['lat']] })).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/no table public.lat in the source.*did you mean/) },
    });
    await expect(handle.executeUpdate('addTables', { args: [[]] })).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/expected at least one table/) },
    });
  });

  test('one that somebody adds to the publication is logged from then on', async () => {
    await lab.source.query(`ALTER PUBLICATION ${slot} ADD TABLE stray; INSERT INTO stray VALUES (1)`);
    await captures.untilWritten(slot);
    const logged = (await captures.changes(slot)).filter(({ table }) => table === 'stray');
    expect(logged).toMatchObject([{ operation: 'INSERT', data: '{"id": 1}' }]);
  });

  test('one that is removed is not sent any more, and its copy stays', async () => {
    // changes committed earlier have yet to be sent when it is removed
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await lab.source.query(`INSERT INTO late VALUES (99999, 'before', NULL)`);
    const tables = await handle.executeUpdate('removeTables', { args: [['late']] });
    expect(tables).toEqual(['public.base', 'public.stray']);
    const keys = `SELECT FROM pg_indexes WHERE schemaname = 'bronze_data' AND tablename LIKE 'br_late%'`;
    expect((await lab.warehouse.query(keys)).rowCount).toBe(0);
    await handle.signal('resume');
    await captures.untilWritten(slot);
    const late = `SELECT FROM bronze.cdc_tables WHERE "table" = 'late'`;
    expect((await lab.warehouse.query(late)).rowCount).toBe(0);
    const before = (await captures.changes(slot)).length;
    await lab.source.query(
      `INSERT INTO late VALUES (100000, 'unseen', NULL); INSERT INTO base VALUES (100000)`,
    );
    await captures.untilWritten(slot);
    expect(await captures.changes(slot)).toHaveLength(before + 1);
    expect((await lab.warehouse.query('SELECT FROM bronze.br_late WHERE id = 100000')).rowCount).toBe(0);
  });
});
