import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT i, 'name ' || i FROM generate_series(1, 1000) i;
    CREATE TABLE orders (id int PRIMARY KEY, token text);
    INSERT INTO orders SELECT i, md5(i::text) FROM generate_series(1, 100000) i`);
});
afterAll(async () => lab.close());

describe('extractTable', () => {
  test('copies a small table whole, and says what it did', async () => {
    const handle = await lab.start({ table: 'users' });
    const result = await handle.result();
    expect(result).toEqual({
      table: 'public.users',
      target: 'bronze.br_users',
      runId: handle.firstExecutionRunId,
      outcome: 'committed',
      rows: 1000,
      bytes: expect.any(Number) as number,
      chunks: 1,
      partitions: 1,
      duration: expect.stringMatching(/^[\d.]+ (ms|s)$/) as string,
      restarts: 0,
      warnings: [],
    });
    expect(await lab.leftovers()).toEqual([]);
  });

  test('adds metadata that is the same for every row of the run', async () => {
    const { runId } = await lab.extract({ table: 'users' });
    const { rows } = await lab.warehouse.query(
      `SELECT _bronze_source AS source, _bronze_schema AS schema, _bronze_table AS table, _bronze_run_id AS run,
              count(*)::int AS rows, count(DISTINCT _bronze_loaded_at)::int AS moments
         FROM bronze.br_users GROUP BY 1, 2, 3, 4`,
    );
    const source = `postgresql://127.0.0.1/source_${lab.name}`;
    expect(rows).toEqual([{ source, schema: 'public', table: 'users', run: runId, rows: 1000, moments: 1 }]);
  });

  test('copies a larger table in chunks, and keeps the ledger of what bronze shows', async () => {
    const { chunks, rows } = await lab.extract({ table: 'orders', chunkSize: '1MB' });
    expect(chunks).toBeGreaterThan(4);
    const ledger = await lab.warehouse.query(
      `SELECT count(*)::int AS chunks, sum(rows)::int AS rows FROM bronze.extraction_chunks c
         JOIN bronze.extraction_targets t ON t.loaded_by_plan = c.plan_id WHERE t.target = 'br_orders'`,
    );
    expect(ledger.rows).toEqual([{ chunks, rows }]);
    // the holder of the snapshot learns of its end with its next heartbeat
    await expect.poll(async () => lab.leftovers(), { timeout: 60_000 }).toEqual([]);
  });

  test('records the run in the manifest', async () => {
    const handle = await lab.start({ table: 'users', columns: ['name'], where: 'id <= 10' });
    await handle.result();
    const { rows } = await lab.warehouse.query(
      `SELECT workflow_id, status, target, rows::int, chunks, format, filter, columns,
              snapshot_at IS NOT NULL AND finished_at >= started_at AS timed
         FROM bronze.extraction_runs WHERE run_id = $1`,
      [handle.firstExecutionRunId],
    );
    expect(rows).toEqual([
      {
        workflow_id: handle.workflowId,
        status: 'committed',
        target: 'br_users',
        rows: 10,
        chunks: 1,
        format: 'binary',
        filter: 'id <= 10',
        columns: [{ name: 'name', type: 'text', sourceType: 'text', decision: 'kept' }],
        timed: true,
      },
    ]);
  });
});

test('a type that does not exist is refused, with the one that was meant', async () => {
  const { taskQueue } = lab;
  const started = lab.temporal.workflow.execute('extract_table', {
    taskQueue,
    workflowId: lab.name,
    args: [],
  });
  await expectFailure(started, 'InvalidInput', 'no workflow "extract_table" (did you mean "extractTable"?)');
});
