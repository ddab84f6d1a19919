import { Client, escapeLiteral } from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import type { Progress } from '../../src/contract/progress.ts';
import { Database } from '../../src/postgres/database.ts';
import type * as workflows from '../../src/workflows/index.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { createExtractor } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { startTestServer } from '../setup/test-server.ts';
import { waitUntil } from '../setup/wait-until.ts';

const ROWS = 20_000;

let primary: PostgresServer;
let replica: PostgresServer;
let lab: Lab;
let onReplica: Client;
let source: string;
beforeAll(async () => {
  primary = await startTestServer({ settings: { max_standby_streaming_delay: '0' } });
  await createExtractor(primary);
  replica = await startTestServer({ standbyOf: primary });
  lab = await Lab.open({
    workers: 'none',
    servers: { source: primary.url('postgres'), warehouse: inject('warehouseAdmin') },
  });
  const database = `source_${lab.name}`;
  source = withDatabase(replica.url('postgres'), database, 'extractor');
  await lab.source.query(
    `CREATE TABLE orders AS SELECT i AS id, repeat('v', 100) AS v FROM generate_series(1, ${ROWS}) i`,
  );
  await replayed();
  onReplica = new Client(withDatabase(replica.url('postgres'), database));
  await onReplica.connect();
  onReplica.on('error', () => undefined);
  await lab.startWorkers({ source });
});
afterAll(async () => {
  await onReplica.end();
  await lab.close();
  await replica.dispose();
  await primary.dispose();
});

/** Waits until the replica has caught up with the primary. */
async function replayed(): Promise<void> {
  const { rows } = await lab.source.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn');
  const client = new Client(replica.url('postgres'));
  await client.connect();
  await waitUntil(async () => {
    const answer = await client.query<{ done: boolean }>('SELECT pg_last_wal_replay_lsn() >= $1 AS done', [
      rows[0]?.lsn,
    ]);
    return answer.rows[0]?.done === true;
  });
  await client.end();
}

test('a replica is a source like any other: its chunks read one snapshot', async () => {
  const result = await lab.extract({ table: 'orders', chunkSize: '128kB', maxReplicaLag: '1 minute' });
  expect(result).toMatchObject({ rows: ROWS, restarts: 0 });
  await expectSameRows(lab, 'orders', 'bronze.br_orders');
});

test('a conflict with recovery is a failure that says what to set', async () => {
  await using steps = new Steps(lab, { source });
  const plan = await steps.plan({
    table: 'orders',
    target: 'conflicting',
    where: 'pg_sleep(0.001) IS NOT NULL',
  });
  const outcome = steps.copy(plan, 0).then(
    () => 'nothing failed',
    (error: unknown) => error,
  );
  await waitUntil(async () => {
    const { rowCount } = await onReplica.query(
      "SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%' AND usename = 'extractor' AND state = 'active'",
    );
    return rowCount === 1;
  });
  await endOldRows();
  const failure = await outcome;
  expect(failure).toMatchObject({ type: 'SerializationFailure', nonRetryable: false });
  expect(String(failure)).toMatch(/conflict with recovery \(SQLSTATE 40001\).*hot_standby_feedback/);
});

test('a conflict that ends a session while it is idle is told as one, too', async () => {
  const database = new Database({ label: 'source "default"', settings: connectionTo(source) });
  const holding = database.read({}, async (session) => {
    await session.query('SELECT FROM public.orders LIMIT 1');
    await endOldRows();
    await waitUntil(async () => session.lost !== undefined);
    await session.query('SELECT 1');
  });
  await expect(holding).rejects.toMatchObject({
    kind: 'SerializationFailure',
    message: expect.stringMatching(/^source "default": .*conflict with recovery/) as string,
  });
  await database.close();
});

test('a conflict that ends the session that holds a snapshot is why the run begins again', async () => {
  const held = await HeldCopies.hold(lab, 'before each mark');
  const handle = await lab.start({ table: 'orders', target: 'begun_again', chunkSize: '128kB' });
  await held.reached();
  await endOldRows();
  let reason: string | undefined;
  await waitUntil(async () => {
    ({ restartReason: reason } = await handle.query<Progress>('progress'));
    return reason !== undefined;
  });
  expect(reason).toMatch(
    /held the snapshot ended: source "default": .*conflict with recovery.*hot_standby_feedback/,
  );
  await held.release();
  expect(await handle.result()).toMatchObject({ rows: ROWS, restarts: 1 });
  await expectSameRows(lab, 'orders', 'bronze.begun_again');
});

/** Removes rows on the primary that older snapshots of the replica still need. */
async function endOldRows(): Promise<void> {
  await lab.source.query('UPDATE orders SET id = id WHERE id <= 10');
  await lab.source.query('VACUUM orders');
}

test('what a plan saw on the primary is not taken for read where the rows come from a replica that lags', async () => {
  await using onPrimary = new Steps(lab);
  await using onLagging = new Steps(lab, { source });
  await lab.source.query('CREATE TABLE ids (id bigserial PRIMARY KEY, name text)');
  const late = await lab.connect('source');
  await late.query(`BEGIN; INSERT INTO ids (name) VALUES ('late')`);
  await lab.source.query(`INSERT INTO ids (name) SELECT 'early' FROM generate_series(1, 500)`);
  await replayed();
  await onReplica.query('SELECT pg_wal_replay_pause()');
  await late.query('COMMIT');
  const plan = await onPrimary.plan({ table: 'ids', incremental: { column: 'id' }, chunkSize: '8kB' });
  // one chunk is enough
  await onLagging.copy(plan, 0);
  await onPrimary.copy(plan, 1, plan.chunks - 1);
  const lagging = await onPrimary.commit(plan);
  expect(lagging).toMatchObject({ rows: 500, incremental: { checkpoint: null } });
  expect(lagging).toHaveProperty(
    'warnings.0',
    expect.stringMatching(/from a server that lacked what the plan/),
  );
  await onReplica.query('SELECT pg_wal_replay_resume()');
  await replayed();
  await lab.extract({ table: 'ids', incremental: { column: 'id' } });
  await expectSameRows(lab, 'ids', 'bronze.br_ids');
});

test('nor are the changes of a partition', { tags: 'long' }, async () => {
  const request = { table: 'parts', write: 'replace-partitions', onlyChanged: true } as const;
  await lab.source.query(`CREATE TABLE parts (id int) PARTITION BY LIST (id);
    CREATE TABLE parts_1 PARTITION OF parts DEFAULT; INSERT INTO parts VALUES (1)`);
  await replayed();
  await onReplica.query('SELECT pg_wal_replay_pause()');
  await lab.source.query('INSERT INTO parts VALUES (2)');
  await lab.source.query('SELECT pg_stat_force_next_flush()');
  {
    await using onPrimary = new Steps(lab);
    await using onLagging = new Steps(lab, { source });
    const plan = await onPrimary.plan(request);
    await onLagging.copy(plan, 0, plan.chunks);
    expect(await onPrimary.commit(plan)).toMatchObject({ rows: 1 });
  }
  await onReplica.query('SELECT pg_wal_replay_resume()');
  await using next = new Steps(lab);
  expect(await next.planAndFinish(request)).toMatchObject({ outcome: { rows: 2 } });
  await expectSameRows(lab, 'parts', 'bronze.br_parts');
});

test('analyze is refused, since a replica has no statistics of its own', async () => {
  await using steps = new Steps(lab, { source });
  await expect(steps.plan({ table: 'orders', analyze: true })).rejects.toThrow(
    /"analyze": the source is a replica/,
  );
});

test('checkSource says that changes are not captured from a replica', async () => {
  const result = await lab.temporal.workflow.execute<typeof workflows.checkSource>('checkSource', {
    taskQueue: lab.taskQueue,
    workflowId: `${lab.taskQueue}-check`,
    args: [{}],
  });
  expect(result.findings.find(({ check }) => check === 'change data capture')?.found).toMatch(
    /^not possible, which only captures need: the server is a replica/,
  );
});

test(
  'checkSource does not mind that nobody reads the slots that a replica synchronizes',
  { tags: 'long' },
  async () => {
    await lab.source.query(
      `SELECT pg_create_physical_replication_slot('replica');
     SELECT pg_create_logical_replication_slot('synchronized', 'pgoutput', failover => true)`,
    );
    const { rows } = await onReplica.query<{ info: string }>(
      "SELECT current_setting('primary_conninfo') AS info",
    );
    await onReplica.query(`ALTER SYSTEM SET primary_slot_name = 'replica'`);
    await onReplica.query(`ALTER SYSTEM SET hot_standby_feedback = on`);
    await onReplica.query(
      `ALTER SYSTEM SET primary_conninfo = ${escapeLiteral(`${rows[0]?.info ?? ''} dbname=postgres`)}`,
    );
    await onReplica.query('SELECT pg_reload_conf()');
    await waitUntil(async () => {
      await lab.source.query('SELECT pg_log_standby_snapshot()');
      const synchronized = onReplica.query('SELECT pg_sync_replication_slots()');
      await synchronized.catch(() => undefined); // until the walreceiver has its slot
      const { rowCount } = await onReplica.query(
        "SELECT FROM pg_replication_slots WHERE slot_name = 'synchronized' AND synced AND NOT temporary",
      );
      return rowCount === 1;
    });
    const result = await lab.temporal.workflow.execute<typeof workflows.checkSource>('checkSource', {
      taskQueue: lab.taskQueue,
      workflowId: `${lab.taskQueue}-check-slots`,
      args: [{}],
    });
    expect(result.findings.find(({ check }) => check === 'slots')).toMatchObject({ found: 'none' });
  },
);

test('a capture is not dropped on a replica, where its slot is not', async () => {
  await lab.warehouse.query(`INSERT INTO bronze.cdc_positions
      (source, slot, publication, own_publication, system_id, timeline, status, run_id, workflow_id)
    VALUES ('default', 'kept', 'theirs', false, '1', 1, 'streaming', 'run', 'workflow')`);
  const dropping = lab.temporal.workflow.execute<typeof workflows.dropCapture>('dropCapture', {
    taskQueue: lab.taskQueue,
    workflowId: `${lab.taskQueue}-drop`,
    args: [{ slot: 'kept' }],
  });
  await expectFailure(dropping, 'ReadOnlyServer', /slots are dropped on the primary\. Name the primary/);
  const { rows } = await lab.warehouse.query('SELECT status FROM bronze.cdc_positions');
  expect(rows).toEqual([{ status: 'streaming' }]);
});

test('one that is too far behind is waited for', { tags: 'long' }, async () => {
  await onReplica.query('SELECT pg_wal_replay_pause()');
  await lab.source.query('INSERT INTO orders VALUES (-1)');
  const handle = await lab.start({ table: 'orders', target: 'fresh', maxReplicaLag: '1ms' });
  expect(await pendingFailure(handle)).toMatch(/the source is a replica that is .* behind its primary/);
  await onReplica.query('SELECT pg_wal_replay_resume()');
  await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed' });
  await expectSameRows(lab, 'orders', 'bronze.fresh');
});
