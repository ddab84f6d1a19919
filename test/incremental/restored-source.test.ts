import { Client } from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { extractIncrement, type IncrementalResult } from '../setup/incremental.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { createExtractor } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { startTestServer } from '../setup/test-server.ts';

let lab: Lab;
let servers: PostgresServer[];
/** A superuser session of the server that is the source now. */
let source: Client;
let stopWorkers: () => Promise<void>;

beforeAll(async () => {
  const first = await startTestServer();
  await createExtractor(first);
  const second = await startTestServer({ standbyOf: first });
  servers = [first, second];
  lab = await Lab.open({
    workers: 'none',
    servers: { source: first.url('postgres'), warehouse: inject('warehouseAdmin') },
  });
  stopWorkers = await lab.startWorkers();
  ({ source } = lab);
  await source.query(`CREATE TABLE rows (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text,
    at timestamptz NOT NULL DEFAULT clock_timestamp()); CREATE INDEX ON rows (at)`);
});
afterAll(async () => {
  await source.end();
  await servers[0]?.start();
  await lab.reconnect();
  await lab.close();
  for (const server of servers) await server.dispose();
});

const requests: Readonly<Record<'appended' | 'merged' | 'timed', ExtractTableRequest>> = {
  appended: { table: 'rows', target: 'appended', incremental: { column: 'id' } },
  merged: { table: 'rows', target: 'merged', write: 'merge', incremental: { column: 'id' } },
  timed: { table: 'rows', target: 'timed', incremental: { column: 'at' } },
};

async function runAll(): Promise<IncrementalResult[]> {
  return Promise.all(Object.values(requests).map(async (request) => extractIncrement(lab, request)));
}

const warningsOf = (results: readonly IncrementalResult[]): (readonly string[])[] =>
  results.map(({ warnings }) => warnings);

const insert = async (rows: number, v: string) =>
  source.query(`INSERT INTO rows (v) SELECT '${v}' FROM generate_series(1, ${rows})`);

/** Promotes a standby, and has it read from then on. */
async function takeOver(standby: PostgresServer): Promise<void> {
  const database = `source_${lab.name}`;
  source = new Client(withDatabase(standby.url('postgres'), database));
  source.on('error', () => undefined);
  await source.connect();
  await source.query('SELECT pg_promote()');
  await stopWorkers();
  const url = withDatabase(standby.url('postgres'), database, 'extractor');
  stopWorkers = await lab.startWorkers({ source: url });
}

const timelinesOf = async (target: string) => {
  const { rows } = await lab.warehouse.query<{ timeline: number | null }>(
    `SELECT origin -> 'system' -> 'timeline' AS timeline FROM bronze.extraction_checkpoints
      WHERE target = $1 ORDER BY checkpoint_id`,
    [target],
  );
  return rows.map(({ timeline }) => timeline);
};

test('a standby that takes the place of the source with all that was read from it is nothing to warn of', async () => {
  await insert(3, 'old');
  await runAll();
  await servers[0]?.stop('fast');
  await takeOver(servers[1]!);
  await insert(1, 'new');
  expect(warningsOf(await runAll())).toEqual([[], [], []]);
  expect(await timelinesOf('appended')).toEqual([1, 2]);
});

test('one that lacks rows gives their ids to others: the next run warns, once, and says how to read them', async () => {
  const [, second] = servers as [PostgresServer, PostgresServer];
  const third = await startTestServer({ standbyOf: second });
  servers.push(third);
  await third.stop('fast');
  await source.end();
  source = new Client(withDatabase(second.url('postgres'), `source_${lab.name}`));
  source.on('error', () => undefined);
  await source.connect();
  await insert(100, 'lost');
  expect(warningsOf(await runAll())).toEqual([[], [], []]);
  await second.stop('immediate');
  await third.start();
  await takeOver(third);
  await insert(200, 'after');

  const told = (lost: string, remedy: string) => [
    expect.stringMatching(
      `restored or made anew \\(timeline 3, and 2 before\\).*${lost}.*${remedy}.*not repeat`,
    ),
  ];
  expect(warningsOf(await runAll())).toEqual([
    told('the values of "id".* missed', 'extract everything again'),
    told('the values of "id".* missed', '"incremental.from"'),
    told('stay in bronze', 'extract everything again'),
  ]);
  expect(warningsOf(await runAll())).toEqual([[], [], []]);
  const { warehouse } = lab;
  const missed = await source.query<{ ids: number }>(
    `SELECT count(*)::int AS ids FROM rows WHERE v = 'after' AND id <= 104`,
  );
  expect(missed.rows[0]?.ids).toBeGreaterThan(0);
  await lab.extract({ ...requests.appended, resetCheckpoint: true });
  await lab.extract({ ...requests.timed, resetCheckpoint: true });
  await lab.extract({ ...requests.merged, detectDeletes: true, incremental: { column: 'id', from: '1' } });
  await expectSameRows({ source, warehouse }, 'rows', 'bronze.appended');
  await expectSameRows({ source, warehouse }, 'rows', 'bronze.timed');
  const targetWhere = '_bronze_deleted_at IS NULL';
  await expectSameRows({ source, warehouse }, 'rows', 'bronze.merged', { targetWhere });
});

test(
  'another server or database, a log that ends earlier, a table made anew, and a server that tells nothing',
  { tags: 'long' },
  async () => {
    const pretend = async (path: string, value: string) =>
      lab.warehouse.query(
        `UPDATE bronze.extraction_checkpoints SET origin = jsonb_set(origin, $1, $2) WHERE status = 'success'`,
        [path, value],
      );
    const expectTold = async (difference: RegExp) => {
      for (const warnings of warningsOf(await runAll()))
        expect(warnings).toEqual([expect.stringMatching(difference)]);
      expect(warningsOf(await runAll())).toEqual([[], [], []]);
    };
    await insert(3, 'more');
    await runAll();
    const timeline = (await timelinesOf('appended')).at(-1);
    await pretend('{system,systemId}', '"1"');
    await expectTold(/system identifier \d+, and 1 before/);
    await pretend('{lsn}', '"FF/0"');
    await expectTold(/its log ends at .*, and rows were read up to FF\/0/);
    await pretend('{database}', '1');
    await expectTold(/database OID \d+, and 1 before/);

    await source.query(`ALTER TABLE rows RENAME TO before; CREATE TABLE rows (LIKE before INCLUDING ALL)`);
    await source.query(`INSERT INTO rows OVERRIDING SYSTEM VALUE SELECT * FROM before`);
    const anew = [expect.stringMatching(/table OID \d+, and \d+ before/)];
    expect(warningsOf(await runAll())).toEqual([anew, anew, []]);

    await source.query('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
    await source.query(`INSERT INTO rows (id, v) OVERRIDING SYSTEM VALUE VALUES (1000, 'untold')`);
    expect(warningsOf(await runAll())).toEqual([[], [], []]);
    expect((await timelinesOf('appended')).at(-1)).toBeNull();
    await source.query('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC');
    expect(warningsOf(await runAll())).toEqual([[], [], []]);
    expect((await timelinesOf('appended')).at(-1)).toBe(timeline);
  },
);
