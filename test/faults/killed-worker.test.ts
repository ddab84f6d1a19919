import { describe, expect, test } from 'vitest';
import type { WorkerProcess } from '../../local/worker-process.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

interface LedgerRow {
  readonly chunk: number;
  readonly attempt: number;
  readonly at: string;
}

async function ledgerOf(lab: Lab, table: string): Promise<LedgerRow[]> {
  const { rows } = await lab.warehouse.query<LedgerRow>(
    `SELECT c.chunk, c.attempt, c.loaded_at::text AS at FROM bronze.extraction_chunks c
       JOIN bronze.extraction_runs r USING (plan_id) WHERE r.target = $1 ORDER BY c.chunk`,
    [`br_${table}`],
  );
  return rows;
}

/** Returns the tables that a run has committed, with everything that a second commit would change. */
async function committedOf(lab: Lab, runId: string) {
  const { rows } = await lab.warehouse.query<{ name: string; plan: string; at: string; file: string }>(
    `SELECT source_table AS name, plan_id AS plan, finished_at::text AS at,
            (SELECT string_agg(pg_relation_filenode(relid)::text, ',') FROM pg_partition_tree('bronze.' || target) WHERE isleaf) AS file
       FROM bronze.extraction_runs WHERE database_run_id = $1 AND status = 'committed' ORDER BY 1`,
    [runId],
  );
  return rows;
}

interface Stage extends AsyncDisposable {
  readonly lab: Lab;
  readonly worker: WorkerProcess;
}

/** Opens a separate lab for each test, since they run concurrently, with a separate worker process. */
async function openStage(): Promise<Stage> {
  const lab = await Lab.open({ workers: 'none' });
  for (const table of ['plain', 'shared']) {
    await lab.source.query(`CREATE TABLE ${table} (id int, v text);
      INSERT INTO ${table} SELECT i, repeat('v', 100) FROM generate_series(1, 20000) i`);
  }
  const worker = await lab.startWorkerProcess();
  const dispose = async () => {
    worker.kill('SIGKILL');
    await lab.close();
  };
  return { lab, worker, [Symbol.asyncDispose]: dispose };
}

/** Starts two runs and waits until each has completed some of its chunks. */
async function runBoth(lab: Lab) {
  const gate = await Gate.closed(lab);
  const where = 'gate(id = 10000)';
  const plain = await lab.start({ table: 'plain', chunkSize: '128kB', where, consistency: 'none' });
  const shared = await lab.start({ table: 'shared', chunkSize: '128kB', where });
  await gate.reached(2);
  await waitUntil(
    async () => (await ledgerOf(lab, 'plain')).length > 3 && (await ledgerOf(lab, 'shared')).length > 3,
  );
  return { gate, plain, shared };
}

type Runs = Awaited<ReturnType<typeof runBoth>>;

async function expectFinishedByOthers(lab: Lab, { plain, shared }: Runs, before: LedgerRow[]): Promise<void> {
  await expect(plain.result()).resolves.toMatchObject({ rows: 20_000, restarts: 0 });
  await expect(shared.result()).resolves.toMatchObject({ rows: 20_000 });
  await expectSameRows(lab, 'plain', 'bronze.br_plain');
  await expectSameRows(lab, 'shared', 'bronze.br_shared');
  const after = await ledgerOf(lab, 'plain');
  expect(after).toEqual(expect.arrayContaining(before)); // completed chunks were not copied again
  expect(after.length).toBeGreaterThan(before.length);
  expect(await lab.leftoversAtLast()).toEqual([]);
}

describe.concurrent(
  'a worker that is lost in the middle is replaced by another: no chunk twice, no row lost or doubled',
  () => {
    test('killed with SIGKILL', async () => {
      await using stage = await openStage();
      const { lab, worker } = stage;
      const runs = await runBoth(lab);
      worker.kill('SIGKILL');
      await worker.exited;
      const before = await ledgerOf(lab, 'plain');
      await runs.gate.open();
      await lab.startWorkers();
      await expectFinishedByOthers(lab, runs, before);
    });

    const expectSmallTablesOnce = async (known: boolean): Promise<void> => {
      await using stage = await openStage();
      const { lab, worker } = stage;
      await lab.source.query('CREATE SCHEMA packed');
      for (const number of [1, 2, 3, 4, 5, 6])
        await lab.source.query(`CREATE TABLE packed.t${number} AS
          SELECT i AS id, md5(i::text) AS token FROM generate_series(1, ${7000 - 1000 * number}) i`);
      if (known) {
        await lab.extractDatabase({ tables: ['packed.*'] });
        for (const number of [1, 2, 3, 4, 5, 6])
          await lab.source.query(`UPDATE packed.t${number} SET token = 'changed' WHERE id % 3 = 0`);
      }
      const gate = await Gate.closed(lab);
      // the largest come first, so that two of the first three are committed when the third is held up
      const handle = await lab.startDatabase({
        tables: ['packed.*', { table: 'packed.t3', where: 'gate(id = 2000)' }],
        parallelism: 1,
        // otherwise the snapshot of all tables would be lost with its only holder, and all of them be extracted again
        consistency: 'table',
      });
      await gate.reached();
      worker.kill('SIGKILL');
      await worker.exited;
      const before = await committedOf(lab, handle.firstExecutionRunId);
      expect(before.map(({ name }) => name)).toEqual(['t1', 't2']);
      await gate.open();
      await lab.startWorkers();
      expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 6, restarts: 0 });
      for (const number of [1, 2, 3, 4, 5, 6])
        await expectSameRows(lab, `packed.t${number}`, `bronze.br_packed__t${number}`);
      const after = await committedOf(lab, handle.firstExecutionRunId);
      expect(after).toHaveLength(6);
      expect(after.slice(0, 2)).toEqual(before);
      expect(await lab.leftoversAtLast()).toEqual([]);
    };

    test(
      'killed while it extracts known small tables, of which those that it has committed are not extracted again',
      { tags: 'long' },
      async () => expectSmallTablesOnce(true),
    );

    // new tables are exchanged in a different way than existing ones
    test('and so with new ones', { tags: 'long' }, async () => expectSmallTablesOnce(false));

    test('asked to stop with SIGTERM, and gone before its copies are', { tags: 'long' }, async () => {
      await using stage = await openStage();
      const { lab, worker } = stage;
      const runs = await runBoth(lab);
      const before = await ledgerOf(lab, 'plain');
      const asked = Date.now();
      expect(await worker.stop()).toMatchObject({ code: 0 });
      expect(Date.now() - asked).toBeLessThan(15_000);
      // staged rows stay, for another worker
      await waitUntil(async () => !(await lab.leftovers()).some((left) => left.startsWith('session')));
      await runs.gate.open();
      await lab.startWorkers();
      await expectFinishedByOthers(lab, runs, before);
    });
  },
);
