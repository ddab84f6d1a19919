import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectFailure } from '../setup/expect-failure.ts';
import { Gate } from '../setup/gate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { resetRun } from '../setup/reset-run.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE warm_up (id int)`);
  await lab.extract({ table: 'warm_up' });
});
afterAll(async () => lab.close());

describe('from one run to the next', () => {
  test('new tables are picked up, and those that vanished are told', async () => {
    await lab.source.query(`CREATE SCHEMA growing; CREATE TABLE growing.stays AS SELECT 1 AS id;
      CREATE TABLE growing.goes AS SELECT 1 AS id`);
    await lab.extractDatabase({ tables: ['growing.*'] });
    await lab.source.query(`DROP TABLE growing.goes; CREATE TABLE growing.comes AS SELECT 2 AS id`);
    const handle = await lab.startDatabase({ tables: ['growing.*'] });
    expect(await handle.result()).toMatchObject({
      tables: 2,
      committed: 2,
      newTables: { count: 1, names: ['growing.comes'] },
      vanishedTables: { count: 1, names: ['growing.goes'] },
    });
    await expectSameRows(lab, 'growing.comes', 'bronze.br_growing__comes');
    const { rows } = await lab.warehouse.query(
      `SELECT status, tables, committed, new_tables, vanished_tables FROM bronze.extraction_database_runs WHERE run_id = $1`,
      [handle.firstExecutionRunId],
    );
    expect(rows).toEqual([
      {
        status: 'complete',
        tables: 2,
        committed: 2,
        new_tables: ['growing.comes'],
        vanished_tables: ['growing.goes'],
      },
    ]);
  });
});

test('a run that is reset extracts small tables again, also after it was paused', async () => {
  await lab.source.query(`CREATE SCHEMA again; CREATE TABLE again.plain AS SELECT 1 AS id;
    CREATE TABLE again.merged AS SELECT 1 AS id, now() AS changed_at`);
  const merged = { incremental: { column: 'changed_at' }, key: ['id'], write: 'merge' as const };
  const handle = await lab.startDatabase({ tables: ['again.*', { table: 'again.merged', ...merged }] });
  await handle.result();
  // as a run leaves it that was terminated while it was paused
  await lab.warehouse.query(`UPDATE bronze.extraction_database_runs SET paused = true WHERE run_id = $1`, [
    handle.firstExecutionRunId,
  ]);
  await lab.source.query(`INSERT INTO again.plain VALUES (2); INSERT INTO again.merged VALUES (2, now())`);
  const again = await resetRun(lab, handle, 'first task');
  expect(await again.result()).toMatchObject({ outcome: 'complete', committed: 2, failed: 0 });
  for (const table of ['plain', 'merged'])
    await expectSameRows(lab, `again.${table}`, `bronze.br_again__${table}`);
});

describe('a table that cannot be extracted', () => {
  test('is told with its reason, in the result and in the manifest, and the others arrive', async () => {
    await lab.source.query(`CREATE SCHEMA partly; CREATE TABLE partly.good AS SELECT 1 AS id;
      CREATE TABLE partly.bad AS SELECT 1 AS _bronze_run_id`);
    const handle = await lab.startDatabase({ tables: ['partly.*', 'partly.godo'] });
    const result = await handle.result();
    expect(result).toMatchObject({ outcome: 'partial', committed: 1, failed: 2 });
    expect(result.newTables.names.toSorted()).toEqual(['partly.bad', 'partly.good']);
    const messages = result.results.map(({ message }) => message ?? '').join('\n');
    expect(messages).toContain('which is the name of a metadata column');
    expect(messages).toContain('did you mean "partly.good"?');
    const { rows } = await lab.warehouse.query(
      `SELECT source_table, status, message LIKE '%metadata column%' AS told FROM bronze.extraction_runs
        WHERE database_run_id = $1 AND source_table <> 'godo' ORDER BY 1`,
      [handle.firstExecutionRunId],
    );
    expect(rows).toEqual([
      { source_table: 'bad', status: 'failed', told: true },
      { source_table: 'good', status: 'committed', told: null },
    ]);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('in a workflow of its own is in the manifest, too, though it has no plan', async () => {
    await using run = new Steps(lab);
    await run.discard({ table: 'partly.bad' });
    const { rows } = await lab.warehouse.query(
      'SELECT source_table, status, message FROM bronze.extraction_runs WHERE database_run_id = $1',
      [run.runId],
    );
    expect(rows).toEqual([{ source_table: 'bad', status: 'failed', message: 'by hand' }]);
  });

  test('fails the run where it is the only one', async () => {
    await expect(lab.extractDatabase({ tables: ['partly.bad'] })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('metadata column') as string },
    });
    await expect(lab.extractDatabase({ tables: ['nowhere.*'] })).rejects.toMatchObject({
      cause: { type: 'UndefinedObject' },
    });
  });

  test('because somebody has locked it is left to a workflow of its own, which waits', async () => {
    await lab.source.query(`CREATE SCHEMA locked; CREATE TABLE locked.one AS SELECT 1 AS id;
      CREATE TABLE locked.two AS SELECT 2 AS id`);
    const keeper = await lab.connect('source');
    await keeper.query('BEGIN; LOCK TABLE locked.two');
    const handle = await lab.startDatabase({ tables: ['locked.*'] });
    await waitUntil(async () => {
      const description = await lab.temporal.workflow
        .getHandle(`${handle.workflowId}/locked.two`)
        .describe()
        .catch(() => undefined);
      return description !== undefined;
    });
    await keeper.query('COMMIT');
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 2 });
    await expectSameRows(lab, 'locked.two', 'bronze.br_locked__two');
  });
});

describe('pause', () => {
  const marks = async () => {
    const { rows } = await lab.warehouse.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM bronze.extraction_chunks JOIN bronze.extraction_plans USING (plan_id)`,
    );
    return rows[0]?.n ?? 0;
  };

  test('lets the chunks in flight finish and begins no other, until resume', async () => {
    await lab.source.query(
      `CREATE TABLE paused AS SELECT i AS id, md5(i::text) AS token FROM generate_series(1, 20000) i`,
    );
    const copies = await HeldCopies.hold(lab, 'before each mark');
    const handle = await lab.start({ table: 'paused', chunkSize: '32kB', parallelism: 2 });
    await copies.reached(2);
    await handle.signal('pause');
    await waitUntil(async () => {
      const { rowCount } = await lab.warehouse.query(`SELECT FROM bronze.extraction_plans WHERE paused`);
      return rowCount === 1;
    });
    await copies.release();
    await waitUntil(async () => (await marks()) === 2);
    await waitUntil(async () => (await handle.query<{ chunksDone: number }>('progress')).chunksDone === 2);
    expect(await handle.query('progress')).toMatchObject({ phase: 'paused', chunksDone: 2 });
    // the ledger has a chunk slightly before Temporal learns that its copy has ended
    await waitUntil(async () => {
      const { raw } = await handle.describe();
      return !(raw.pendingActivities ?? []).some(({ activityType }) => activityType?.name === 'copyChunks');
    });
    expect(await marks()).toBe(2);
    await handle.signal('resume');
    await handle.result();
    await expectSameRows(lab, 'paused', 'bronze.br_paused');
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('holds a run of many tables that no worker has seen yet', async () => {
    await lab.source.query('CREATE SCHEMA early; CREATE TABLE early.one AS SELECT 1 AS id');
    const handle = await lab.temporal.workflow.signalWithStart('extractDatabase', {
      taskQueue: lab.taskQueue,
      workflowId: `early-${lab.name}`,
      args: [{ tables: ['early.*'] }],
      signal: 'pause',
    });
    await waitUntil(async () => (await handle.query<{ phase: string }>('progress')).phase === 'paused');
    expect(await handle.executeUpdate('skipTable', { args: ['early.one'] })).toBe('early.one is skipped');
    expect(await handle.executeUpdate('retryTable', { args: ['early.one'] })).toContain('waits');
    await handle.signal('resume');
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 1 });
  });

  test('holds a run of many tables after the table that it is at', { tags: 'long' }, async () => {
    await lab.source.query(`CREATE SCHEMA halted; CREATE TABLE halted.one AS SELECT 1 AS id;
      CREATE TABLE halted.two AS SELECT 2 AS id; CREATE TABLE halted.three AS SELECT 3 AS id`);
    const copies = await HeldCopies.hold(lab, 'before each mark');
    // one with a condition is not copied together with others
    const handle = await lab.startDatabase({
      tables: ['halted.*', { table: 'halted.one', where: 'true' }],
      parallelism: 1,
    });
    await copies.reached();
    await handle.signal('pause');
    await waitUntil(async () => {
      const { rowCount } = await lab.warehouse.query(
        `SELECT FROM bronze.extraction_database_runs WHERE paused`,
      );
      return rowCount === 1;
    });
    await copies.release();
    await waitUntil(async () => (await handle.query<{ committed: number }>('progress')).committed >= 1);
    expect(await handle.query('progress')).toMatchObject({ phase: 'paused', running: [] });
    await handle.signal('resume');
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 3 });
  });
});

test('a run whose list of tables somebody has dropped says so', async () => {
  await lab.source.query(`CREATE SCHEMA unlisted; CREATE TABLE unlisted.one AS SELECT 1 AS id;
    CREATE TABLE unlisted.two AS SELECT 2 AS id`);
  const copies = await HeldCopies.hold(lab, 'before each mark');
  // one with a condition is not copied together with others
  const handle = await lab.startDatabase({
    tables: ['unlisted.*', { table: 'unlisted.one', where: 'true' }],
    parallelism: 1,
  });
  await copies.reached();
  const run = [handle.firstExecutionRunId];
  await handle.signal('pause');
  await waitUntil(async () => {
    const paused = `SELECT FROM bronze.extraction_database_runs WHERE run_id = $1 AND paused`;
    return (await lab.warehouse.query(paused, run)).rowCount === 1;
  });
  await copies.release();
  await waitUntil(async () => (await handle.query<{ committed: number }>('progress')).committed === 1);
  await lab.warehouse.query(`DELETE FROM bronze.extraction_members WHERE run_id = $1`, run);
  await handle.signal('resume');
  await expectFailure(handle.result(), 'StagingLost', 'The list of tables is gone from the warehouse. Start');
});

describe('a run that begins again', () => {
  test(
    'extracts small tables again, too, which were committed as of the snapshot that is lost',
    { tags: 'long' },
    async () => {
      const gate = await Gate.closed(lab);
      await lab.source.query(`CREATE SCHEMA moved; CREATE TABLE moved.small AS SELECT 1 AS id;
        CREATE TABLE moved.big (id int, filler text); ALTER TABLE moved.big ALTER filler SET STORAGE PLAIN;
        INSERT INTO moved.big SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i`);
      const tables = ['moved.*', { table: 'moved.big', where: 'gate(id = 1)' }];
      const handle = await lab.startDatabase({ tables });
      await gate.reached();
      const committed = `SELECT FROM bronze.extraction_runs WHERE target = 'br_moved__small' AND status = 'committed'`;
      await waitUntil(async () => (await lab.warehouse.query(committed)).rowCount === 1);
      await lab.source.query('UPDATE moved.small SET id = 2');
      await lab.source.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'extractor'`,
      );
      await gate.open();
      expect(await handle.result()).toMatchObject({ restarts: 1, committed: 2, warnings: [] });
      await expectSameRows(lab, 'moved.small', 'bronze.br_moved__small');
      // the manifest keeps what it has of the first
      expect((await lab.warehouse.query(committed)).rowCount).toBe(2);
    },
  );

  test(
    'has forgotten that it was paused, and that a table was skipped which is to be tried again',
    { tags: 'long' },
    async () => {
      const gate = await Gate.closed(lab);
      await lab.source.query(`CREATE SCHEMA anew; CREATE TABLE anew.small AS SELECT 1 AS id;
      CREATE TABLE anew.skipped AS SELECT 2 AS id;
      CREATE TABLE anew.big (id int, filler text); ALTER TABLE anew.big ALTER filler SET STORAGE PLAIN;
      INSERT INTO anew.big SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i`);
      const tables = ['anew.*', { table: 'anew.big', where: 'gate(id = 1)' }];
      const handle = await lab.startDatabase({ tables, maxTablesAtOnce: 1 });
      await gate.reached();
      for (const table of ['anew.small', 'anew.skipped'])
        await handle.executeUpdate('skipTable', { args: [table] });
      await handle.signal('pause');
      const runs = 'bronze.extraction_database_runs JOIN bronze.extraction_members USING (run_id)';
      await waitUntil(
        async () =>
          (await lab.warehouse.query(`SELECT FROM ${runs} WHERE paused AND extraction_members.skipped`))
            .rowCount === 2,
      );
      await handle.executeUpdate('retryTable', { args: ['anew.small'] });
      // the run hears of the end of the pause when it has lost its snapshot, and before it copies again
      await lab.warehouse.query('BEGIN; SELECT FROM bronze.extraction_database_runs FOR UPDATE');
      await lab.source.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'extractor'`,
      );
      const observer = await lab.connect('warehouse');
      await waitUntil(async () => {
        const { rowCount } = await observer.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return rowCount === 1;
      });
      await handle.signal('resume');
      await gate.open();
      await lab.warehouse.query('COMMIT');
      expect(await handle.result()).toMatchObject({ restarts: 1, committed: 2, skipped: 1 });
      await expectSameRows(lab, 'anew.small', 'bronze.br_anew__small');
    },
  );
});

describe('a run that ends early', () => {
  testVariants(['cancel', 'terminate'])('by %s leaves nothing behind', async (how) => {
    const gate = await Gate.closed(lab);
    const schema = `ended_by_${how}`;
    await lab.source.query(`CREATE SCHEMA ${schema};
      CREATE TABLE ${schema}.big (id int, filler text); ALTER TABLE ${schema}.big ALTER filler SET STORAGE PLAIN;
      INSERT INTO ${schema}.big SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i;
      CREATE TABLE ${schema}.small AS SELECT 1 AS id`);
    const handle = await lab.startDatabase({ tables: [`${schema}.*`], defaults: { where: 'gate(id = 1)' } });
    await gate.reached(2);
    if (how === 'cancel') await handle.cancel();
    else await handle.terminate();
    await expect(handle.result()).rejects.toThrow(/./);
    await waitUntil(async () => (await lab.leftovers()).length === 0, 30_000).catch(() => undefined);
    expect(await lab.leftovers()).toEqual([]);
    const { rows } = await lab.warehouse.query(
      `SELECT DISTINCT status FROM bronze.extraction_database_runs WHERE run_id = $1
       UNION SELECT status FROM bronze.extraction_runs WHERE database_run_id = $1`,
      [handle.firstExecutionRunId],
    );
    expect(rows).toEqual([{ status: 'cancelled' }]);
    await gate.open();
  });

  test('with nobody there to clear up leaves that to the next run of many tables', async () => {
    await lab.source.query(
      'CREATE TABLE over_alone AS SELECT 1 AS id; CREATE TABLE over_next AS SELECT 1 AS id',
    );
    // Temporal does not know its workflow
    await using over = new Steps(lab, { namespace: 'default' });
    await over.load({ table: 'over_alone' });
    expect(await lab.leftovers()).not.toEqual([]);
    await lab.extractDatabase({ tables: ['public.over_next'] });
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('a single table that is terminated leaves nothing behind either', { tags: 'long' }, async () => {
    const gate = await Gate.closed(lab);
    await lab.source.query(`CREATE TABLE terminated AS SELECT i AS id FROM generate_series(1, 10) i`);
    const handle = await lab.start({ table: 'terminated', where: 'gate(id = 1)' });
    await gate.reached();
    await handle.terminate();
    await waitUntil(async () => (await lab.leftovers()).length === 0, 30_000).catch(() => undefined);
    expect(await lab.leftovers()).toEqual([]);
    await gate.open();
  });
  test(
    'nor does one that is terminated while it is paused, and only its snapshot is held',
    { tags: 'long' },
    async () => {
      const gate = await Gate.closed(lab);
      await lab.source
        .query(`CREATE TABLE stopped (id int, filler text); ALTER TABLE stopped ALTER filler SET STORAGE PLAIN;
        INSERT INTO stopped SELECT i, repeat('x', 1900) FROM generate_series(1, 100) i`);
      const handle = await lab.start({
        table: 'stopped',
        chunkSize: '64kB',
        parallelism: 1,
        where: 'gate(id = 1)',
      });
      await gate.reached();
      await handle.signal('pause');
      await gate.open();
      await waitUntil(async () => {
        const { raw } = await handle.describe();
        const pending = raw.pendingActivities?.map(({ activityType }) => activityType?.name);
        return pending?.includes('holdSnapshot') === true && !pending.includes('copyChunks');
      });
      await handle.terminate();
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );
});

describe('a second run of the same table', () => {
  test('waits until the first has ended, and says for whom', { tags: 'long' }, async () => {
    const gate = await Gate.closed(lab);
    await lab.source.query(`CREATE TABLE twice AS SELECT i AS id FROM generate_series(1, 10) i`);
    const first = await lab.start({ table: 'twice', where: 'gate(id = 1)' });
    await gate.reached();
    const second = await lab.start({ table: 'twice' });
    await waitUntil(async () => {
      const { raw } = await second.describe();
      const [pending] = raw.pendingActivities ?? [];
      return pending?.lastFailure?.message?.includes(`by the workflow "${first.workflowId}"`) === true;
    });
    await gate.open();
    expect(await first.result()).toMatchObject({ outcome: 'committed' });
    expect(await second.result()).toMatchObject({ outcome: 'committed', rows: 10 });
  });

  test(
    'waits in a run of many tables, too, where small tables are copied together',
    { tags: 'long' },
    async () => {
      const gate = await Gate.closed(lab);
      await lab.source.query(`CREATE TABLE twice_small AS SELECT i AS id FROM generate_series(1, 10) i`);
      const first = await lab.start({ table: 'twice_small', where: 'gate(id = 1)' });
      await gate.reached();
      const second = await lab.startDatabase({ tables: ['public.twice_small'] });
      const alone = lab.temporal.workflow.getHandle(`${second.workflowId}/public.twice_small`);
      await waitUntil(async () => {
        const described = await alone.describe().catch(() => undefined);
        const [pending] = described?.raw.pendingActivities ?? [];
        return pending?.lastFailure?.message?.includes(`by the workflow "${first.workflowId}"`) === true;
      });
      await gate.open();
      expect(await first.result()).toMatchObject({ outcome: 'committed' });
      expect(await second.result()).toMatchObject({ outcome: 'complete', committed: 1, rows: 10 });
    },
  );
});
