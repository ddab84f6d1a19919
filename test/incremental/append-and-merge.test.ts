import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { extractIncrement, type IncrementalResult } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, name text, updated_at timestamptz);
    CREATE INDEX ON ${table} (updated_at);
    INSERT INTO ${table} SELECT i, 'name ' || i, timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(1, 500) i`);
});

async function run(more: Partial<ExtractTableRequest> = {}): Promise<IncrementalResult> {
  return extractIncrement(lab, { table, incremental: { column: 'updated_at' }, ...more });
}

async function bronzeRows(what: string): Promise<unknown[]> {
  return (await lab.warehouse.query(`SELECT ${what} FROM ${bronze}`)).rows;
}

describe.each(['append', 'merge'] as const)('with write: %s', (write) => {
  test('the first run extracts everything, and the next ones what is new', async () => {
    const first = await run({ write });
    expect(first.incremental).toMatchObject({
      extraction: 'full', added: 500, previousCheckpoint: null, checkpoint: '2024-01-01 08:20:00+00', protection: 'oldest transaction',
    }); // prettier-ignore
    await lab.source.query(`INSERT INTO ${table} VALUES (501, 'new', '2024-01-01 09:00:00.000001+00')`);
    const second = await run({ write });
    expect(second.incremental).toMatchObject({
      extraction: 'incremental', added: 1, replaced: 0, unchanged: 61, readFrom: '2024-01-01 07:20:00+00',
      previousCheckpoint: '2024-01-01 08:20:00+00', checkpoint: '2024-01-01 09:00:00.000001+00',
    }); // prettier-ignore
    expect(second.rows).toBe(62);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftovers()).toEqual([]);
  });

  test('a run with nothing new changes nothing, and keeps its checkpoint', async () => {
    await run({ write });
    const before = await bronzeRows('*');
    const { incremental } = await run({ write, incremental: { column: 'updated_at', lookback: 0 } });
    expect(incremental).toMatchObject({
      added: 0,
      replaced: 0,
      unchanged: 1,
      checkpoint: '2024-01-01 08:20:00+00',
    });
    expect(await bronzeRows('*')).toEqual(before);
    const { rows } = await lab.warehouse.query(
      `SELECT checkpoint_value, status, source_schema, source_table FROM bronze.extraction_checkpoints WHERE target = $1`,
      [`br_${table}`],
    );
    expect(rows).toEqual([
      {
        checkpoint_value: '2024-01-01 08:20:00+00',
        status: 'success',
        source_schema: 'public',
        source_table: table,
      },
    ]);
  });

  test('rows that share the value of the checkpoint are neither lost nor doubled', async () => {
    await run({ write });
    await lab.source.query(
      `INSERT INTO ${table} SELECT i, 'at once', '2024-01-01 08:20:00+00' FROM generate_series(501, 600) i`,
    );
    const { incremental } = await run({ write, incremental: { column: 'updated_at', lookback: 0 } });
    expect(incremental).toMatchObject({ added: 100, unchanged: 1 });
    await expectSameRows(lab, table, bronze);
  });

  test('values a microsecond apart are told apart', async () => {
    await run({ write });
    const lookback = { incremental: { column: 'updated_at', lookback: '0' } };
    for (const [id, micros] of [
      [601, '000001'],
      [602, '000002'],
    ] as const) {
      // prettier-ignore
      await lab.source.query(`INSERT INTO ${table} VALUES (${id}, 'close', '2024-01-01 09:00:00.${micros}+00')`);
      expect((await run({ write, ...lookback })).incremental).toMatchObject({
        added: 1,
        unchanged: 1,
        checkpoint: `2024-01-01 09:00:00.${micros}+00`,
      });
    }
    await expectSameRows(lab, table, bronze);
  });
});

test('append keeps every version, merge the newest', async () => {
  for (const write of ['append', 'merge'] as const) await run({ write, target: `br_${table}_${write}` });
  await lab.source.query(`UPDATE ${table} SET name = 'changed', updated_at = '2024-02-01' WHERE id <= 10`);
  const appended = await run({ write: 'append', target: `br_${table}_append` });
  const merged = await run({ write: 'merge', target: `br_${table}_merge` });
  expect(appended.incremental).toMatchObject({ added: 10, replaced: 0 });
  expect(merged.incremental).toMatchObject({ added: 0, replaced: 10 });
  await expectSameRows(lab, table, `bronze.br_${table}_merge`);
  const { rows } = await lab.warehouse.query(
    `SELECT id, count(*)::int AS versions FROM bronze.br_${table}_append GROUP BY id HAVING count(*) > 1 ORDER BY id`,
  );
  expect(rows).toEqual(Array.from({ length: 10 }, (_, index) => ({ id: index + 1, versions: 2 })));
});

test('says in every row of which run and of what kind it is', async () => {
  await run();
  await lab.source.query(`INSERT INTO ${table} VALUES (501, 'new', '2024-01-01 09:00+00')`);
  const { runId } = await run();
  const { rows } = await lab.warehouse.query(
    `SELECT _bronze_extraction_type AS type, _bronze_checkpoint AS checkpoint, _bronze_run_id = $1 AS last, count(*)::int
       FROM ${bronze} GROUP BY 1, 2, 3 ORDER BY 1`,
    [runId],
  );
  expect(rows).toEqual([
    { type: 'full', checkpoint: null, last: false, count: 500 },
    { type: 'incremental', checkpoint: '2024-01-01 08:20:00+00', last: true, count: 1 },
  ]);
});

test('versions stay in order when the clock of the warehouse goes back', async () => {
  const latest = async (name: string) => {
    await lab.source.query(
      `UPDATE ${table} SET name = '${name}', updated_at = updated_at + interval '1 minute' WHERE id = 500`,
    );
    return run({ currentView: true });
  };
  await run({ currentView: true });
  await lab.warehouse.query(`UPDATE ${bronze} SET _bronze_loaded_at = _bronze_loaded_at + interval '1 hour';
    UPDATE bronze.extraction_targets SET loaded_at = loaded_at + interval '1 hour' WHERE target = 'br_${table}'`);
  for (const name of ['second', 'third']) expect((await latest(name)).incremental.added).toBe(1);
  expect((await run()).incremental.added).toBe(0);
  await expectSameRows(lab, table, `${bronze}_current`);
});

test('a run without "incremental" says that it replaces what incremental runs have kept, and ends the checkpoint', async () => {
  await run({ write: 'append' });
  await lab.source.query(`DELETE FROM ${table} WHERE id <= 100`);
  const whole = await lab.extract({ table });
  expect(whole.warnings).toEqual([expect.stringContaining('and ends their checkpoint')]);
  await expectSameRows(lab, table, bronze);
  expect((await lab.extract({ table })).warnings).toEqual([]);
  await run({ write: 'append', resetCheckpoint: true });
  await lab.extractDatabase({ tables: [table] });
  const { rows } = await lab.warehouse.query<{ warnings: string[] }>(
    `SELECT warnings FROM bronze.extraction_runs WHERE target = 'br_${table}' ORDER BY started_at DESC LIMIT 1`,
  );
  expect(rows).toEqual([{ warnings: whole.warnings }]);
});
