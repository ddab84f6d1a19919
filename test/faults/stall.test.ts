import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { Steps } from '../setup/steps.ts';
import { TcpProxy } from '../setup/tcp-proxy.ts';
import { waitUntil } from '../setup/wait-until.ts';

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
const copyingInWarehouse = async (): Promise<number> => {
  let pid = 0;
  await waitUntil(async () => {
    const { rows } = await lab.warehouse.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_progress_copy WHERE datname = current_database() AND tuples_processed > 0`,
    );
    pid = rows[0]?.pid ?? 0;
    return pid > 0;
  });
  return pid;
};

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
});
afterAll(async () => lab.close());

test('a copy through which nothing passes is ended on both servers, to be tried again', async () => {
  await lab.source.query('CREATE TABLE slow AS SELECT 1 AS id');
  await using steps = new Steps(lab);
  const plan = await steps.plan({
    table: 'slow',
    where: 'pg_sleep(600) IS NOT NULL',
    stallTimeout: '1 second',
  });
  await expect(steps.copy(plan, 0)).rejects.toMatchObject({
    type: 'Stalled',
    nonRetryable: false,
    message: expect.stringContaining('nothing has passed between source and warehouse for 1.0 s') as string,
  });
  await steps.discard();
  expect(await lab.leftovers()).toEqual([]);
});

test('a copy into a session of the warehouse that hangs is ended, though neither server answers', async () => {
  await lab.source.query(
    `CREATE TABLE large AS SELECT repeat('x', 8000) AS note FROM generate_series(1, 30000)`,
  );
  await using steps = new Steps(lab);
  const plan = await steps.plan({ table: 'large', chunkSize: '1GB', stallTimeout: '1 second' });
  const copying = failureOf(steps.copy(plan, 0));
  const pid = await copyingInWarehouse();
  process.kill(pid, 'SIGSTOP');
  try {
    expect(await copying).toMatchObject({ type: 'Stalled' });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await steps.discard();
  // a session that has let go of its locks has not quite ended
  expect(await lab.leftoversAtLast()).toEqual([]);
});

test('a copy that goes on slowly is left alone', { tags: 'long' }, async () => {
  await lab.source.query(
    `CREATE TABLE slowly AS SELECT i AS id, repeat('x', 9000) AS note FROM generate_series(1, 8) AS i`,
  );
  await using steps = new Steps(lab);
  const where = 'pg_sleep(0.4) IS NOT NULL';
  const plan = await steps.plan({ table: 'slowly', where, stallTimeout: '1 second' });
  expect(await steps.copy(plan, 0)).toMatchObject({ rows: 8 });
  await steps.discard();
});

test(
  'a copy over connections that are slow for longer than the timeout, in which bytes still move, is left alone',
  { tags: 'long' },
  async () => {
    await lab.source.query(
      `CREATE TABLE far AS SELECT i AS id, repeat('x', 1000) AS note FROM generate_series(1, 300) AS i`,
    );
    const near = async (url: string) =>
      TcpProxy.start({ host: '127.0.0.1', port: Number(new URL(url).port) });
    await using source = await near(lab.sourceUrl);
    await using warehouse = await near(lab.warehouseUrl);
    await using steps = new Steps(lab, {
      source: source.through(lab.sourceUrl),
      warehouse: warehouse.through(lab.warehouseUrl),
    });
    const plan = await steps.plan({ table: 'far', stallTimeout: '1 second' });
    for (const network of [source, warehouse]) network.throttle(150_000);
    const began = performance.now();
    expect(await steps.copy(plan, 0)).toMatchObject({ rows: 300 });
    // otherwise it was not slow for long enough to prove anything
    expect(performance.now() - began).toBeGreaterThan(1_500);
    for (const network of [source, warehouse]) network.throttle(Infinity);
    await steps.discard();
  },
);
