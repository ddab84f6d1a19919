import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../../local/temporary-directory.ts';
import { checkRoute } from '../../src/extraction/check/check-route.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { findPgBouncer, startPgBouncer, type PgBouncer } from '../setup/pgbouncer.ts';
import { expectSameRows } from '../setup/same-rows.ts';

const ROWS = 5_000;

const directory = await makeTemporaryDirectory('pgbouncer-packages');
const program = await findPgBouncer(directory);

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  await lab.source.query(
    `CREATE TABLE orders AS SELECT i AS id, repeat('v', 100) AS v FROM generate_series(1, ${ROWS}) i`,
  );
});
afterAll(async () => {
  await lab.close();
  await removeTemporaryDirectory(directory);
});

describe.skipIf(program === undefined).each(['session', 'transaction'] as const)(
  'PgBouncer in %s mode',
  (mode) => {
    const poolers: PgBouncer[] = [];
    let stop = async (): Promise<void> => undefined;
    beforeAll(async () => {
      if (program === undefined) return;
      for (const admin of [inject('sourceAdmin'), inject('warehouseAdmin')]) {
        poolers.push(await startPgBouncer(program, mode, new URL(admin)));
      }
      const [source, warehouse] = poolers;
      stop = await lab.startWorkers({
        source: source?.through(lab.sourceUrl) ?? '',
        warehouse: warehouse?.through(lab.warehouseUrl) ?? '',
      });
    });
    afterAll(async () => {
      await stop();
      for (const pooler of poolers) await pooler.stop();
    });

    test('lets a run through, its snapshot and all', async () => {
      const target = `pooled_${mode}`;
      const result = await lab.extract({ table: 'orders', target, chunkSize: '64kB' });
      expect(result).toMatchObject({ rows: ROWS, restarts: 0 });
      await expectSameRows(lab, 'orders', `bronze.${target}`);
    });

    test('is recognised', async () => {
      const url = poolers[0]?.through(lab.sourceUrl) ?? '';
      const database = new Database({ label: 'source "default"', settings: connectionTo(url) });
      const route = (await checkRoute(database)).find(({ check }) => check === 'route');
      await database.close();
      expect(route?.found).toContain(`a pooler in ${mode} mode`);
    });

    test('carries a cancellation to the session that is meant', { tags: 'long' }, async () => {
      const gate = await Gate.closed(lab);
      const handle = await lab.start({ table: 'orders', target: `cancelled_${mode}`, where: 'gate(id = 5)' });
      await gate.reached();
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
      expect(await lab.leftoversAtLast()).toEqual([]);
      await gate.open();
    });
  },
);

describe.skipIf(program === undefined)('what a pooler does not take is told', () => {
  async function failure(
    mode: 'transaction' | 'statement',
    variables: Record<string, string>,
  ): Promise<unknown> {
    if (program === undefined) return undefined;
    const pooler = await startPgBouncer(program, mode, new URL(inject('sourceAdmin')));
    const settings = connectionTo(pooler.through(lab.sourceUrl), variables);
    const database = new Database({ label: 'source "default"', settings });
    const failed = await database
      .read({}, async (session) => session.query('SELECT 1'))
      .then(
        () => 'nothing failed',
        (error: unknown) => error,
      );
    await database.close();
    await pooler.stop();
    return failed;
  }

  test('options', async () => {
    expect(await failure('transaction', { SOURCE_PG_OPTIONS: '-c lock_timeout=10000' })).toMatchObject({
      kind: 'PoolerInTheWay',
      message: 'source "default": unsupported startup parameter: options (SQLSTATE 08P01)',
    });
  });

  test('transactions, in statement mode', async () => {
    expect(await failure('statement', {})).toMatchObject({ kind: 'PoolerInTheWay' });
  });
});
