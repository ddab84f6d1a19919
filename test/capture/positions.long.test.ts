// @module-tag long
import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { withDatabase } from '../setup/lab.ts';
import { startTestServer } from '../setup/test-server.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';

const run = promisify(execFile);

let own: OwnSource;
beforeAll(async () => {
  own = await OwnSource.open();
});
afterAll(async () => own[Symbol.asyncDispose]());

/** Restores the files of the source to their state before the work. */
async function restoredAfter(work: () => Promise<void>): Promise<void> {
  const { server, lab } = own;
  await server.stop('fast');
  const backup = `${server.dataDirectory}-backup`;
  await run('cp', ['-a', server.dataDirectory, backup]);
  await server.start();
  await lab.reconnect();
  await work();
  await server.stop('fast');
  await run('rm', ['-r', server.dataDirectory]);
  await rename(backup, server.dataDirectory);
  await server.start();
  await lab.reconnect();
}

const logOnly = { initialCopy: false, mirror: false };

const fill = async (rows: number) =>
  own.lab.source.query(
    `CREATE TABLE filling AS SELECT repeat(md5(i::text), 100) FROM generate_series(1, ${rows}) i`,
  );

describe('before it streams, a capture compares its position with the slot:', () => {
  test('a slot that was invalidated', async () => {
    const slot = await own.captured();
    await own.asAdmin(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
    await own.asAdmin('SELECT pg_reload_conf()');
    for (let segment = 0; segment < 3; segment += 1) {
      await own.insert();
      await own.asAdmin('SELECT pg_switch_wal()');
      await own.asAdmin('CHECKPOINT');
    }
    await expectFailure(
      own.catchUp(slot),
      'SlotLost',
      /was invalidated: the source has removed log that it needed/,
    );
    await own.captures.drop({ slot });
    await own.asAdmin('ALTER SYSTEM RESET max_slot_wal_keep_size');
    await own.asAdmin('SELECT pg_reload_conf()');
  });

  test('a source that was restored from a backup', async () => {
    const slot = await own.captured();
    await restoredAfter(async () => {
      await own.insert();
      await fill(10_000);
      await own.catchUp(slot);
    });
    await expectFailure(
      own.catchUp(slot),
      'PositionConflict',
      /ends at .* the source was restored from a backup/,
    );
    await own.captures.drop({ slot });
  });

  test('a source that was restored, and whose log has grown past the position since', async () => {
    const [lost, other, kept] = [
      await own.captured(logOnly),
      await own.captured(logOnly),
      await own.captured(logOnly),
    ];
    await restoredAfter(async () => {
      // one capture has read only a position that the backup lacks, the other a change
      await fill(1_000);
      await own.catchUp(other, logOnly);
      await own.insert();
      await own.catchUp(lost, logOnly);
    });
    await own.insert();
    await fill(20_000);
    const changed = /has another transaction at .* the source was restored from a backup/;
    await expectFailure(own.catchUp(lost, logOnly), 'PositionConflict', changed);
    await expectFailure(own.catchUp(other, logOnly), 'PositionConflict', changed);
    // but a capture that has read nothing of what was lost continues
    await expect(own.catchUp(kept, logOnly)).resolves.toMatchObject({ changes: 1 });
    for (const slot of [lost, other, kept]) await own.captures.drop({ slot });
  });

  test('another server behind the same name', async () => {
    const slot = await own.captured();
    await own.stopWorkers();
    const database = new URL(own.lab.warehouseUrl).pathname.slice(1);
    const elsewhere = withDatabase(inject('warehouseAdmin'), database);
    own.stopWorkers = await own.lab.startWorkers({ source: elsewhere });
    await expectFailure(own.catchUp(slot), 'PositionConflict', /is another server than the one whose slot/);
    await own.stopWorkers();
    own.stopWorkers = await own.lab.startWorkers();
    await own.captures.drop({ slot });
  });
});

test('a source that is shut down does not wait for its capture, which goes on when it is back', async () => {
  const { captures, lab, server } = own;
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, ...logOnly });
  await captures.untilStreaming(handle);
  for (let round = 0; round < 3; round += 1) {
    await own.insert();
    await captures.untilWritten(slot);
    // at shutdown, a server waits until its WAL is acknowledged, to the byte
    await untilPast(slot, await writtenHeartbeat());
    await server.stop('fast');
    await server.start();
    await lab.reconnect();
  }
  await captures.untilWritten(slot, 60_000);
  expect((await captures.changes(slot)).length).toBe(3);
  await captures.end(handle, slot);
});

test('when a standby takes the place of the source, a capture goes on where the standby has all that was written, time and again, and is refused where it has not', async () => {
  const { lab, captures, server } = own;
  const [kept, ahead] = [captures.slotName(), await own.captured(logOnly)];
  const handle = await captures.start({ tables: ['t'], slot: kept, mirror: true });
  await captures.untilStreaming(handle);
  // its files include the slots, like those of a standby with synchronized slots
  await withStandby({ hot_standby_feedback: 'on' }, async (standby) => {
    await own.insert();
    await captures.untilWritten(kept);
    await standby.stop('fast');
    // the position moves past what the standby has, without a change
    await untilPast(kept, await writtenHeartbeat());
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await own.insert();
    await own.catchUp(ahead, logOnly);
    await own.stopWorkers();
    await server.stop('immediate');

    await standby.start();
    await using promoted = await connected(withDatabase(standby.url('postgres'), `source_${lab.name}`));
    await takeOver(standby, promoted.client);
    await expectFailure(
      own.catchUp(ahead, logOnly),
      'PositionConflict',
      /another took its place, at .* some of them are not in the source/,
    );
    await handle.signal('resume');
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await insertAndAwait(promoted.client, 1000 + attempt);
      await promoted.client.query(
        'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL',
      );
    }
    await expectSameRows({ source: promoted.client, warehouse: lab.warehouse }, 't', 'bronze.br_t');
    await captures.end(handle, kept);
    await captures.drop({ slot: ahead });
  });
});

test('with "failover", a standby that synchronizes slots has the slot when it takes over', async () => {
  const { lab, captures, server } = own;
  const slot = captures.slotName();
  await lab.source.query(`SELECT pg_create_physical_replication_slot('standby')`);
  const settings = {
    primary_slot_name: 'standby',
    hot_standby_feedback: 'on',
    sync_replication_slots: 'on',
    primary_conninfo: server.url('postgres'),
  };
  await withStandby(settings, async (standby) => {
    const request = { tables: ['t'], slot, mirror: true };
    await captures.catchUp(request);
    await expectFailover(lab.source, slot, false);
    const handle = await captures.start({ ...request, failover: true });
    await captures.untilStreaming(handle);
    await own.insert();
    await captures.untilWritten(slot);
    await using promoted = await connected(withDatabase(standby.url('postgres'), `source_${lab.name}`));
    await untilSynchronized(lab.source, promoted.client, slot);
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await own.stopWorkers();
    await server.stop('immediate');
    await takeOver(standby, promoted.client);
    await handle.signal('resume');
    await insertAndAwait(promoted.client, 2000);
    await expectSameRows({ source: promoted.client, warehouse: lab.warehouse }, 't', 'bronze.br_t');
    await captures.end(handle, slot);
  });
});

/** Does something with a standby of the source, which is the primary again afterwards. */
async function withStandby(
  settings: Readonly<Record<string, string>>,
  work: (standby: PostgresServer) => Promise<void>,
): Promise<void> {
  const { lab, server } = own;
  const standby = await startTestServer({ standbyOf: server, settings });
  try {
    await lab.reconnect();
    await work(standby);
    await own.stopWorkers();
  } finally {
    await standby.dispose();
    await server.start();
    await lab.reconnect();
    own.stopWorkers = await lab.startWorkers();
  }
}

/** Promotes a standby, and has workers read from it. */
async function takeOver(standby: PostgresServer, client: Client): Promise<void> {
  await client.query('SELECT pg_promote()');
  const source = withDatabase(standby.url('postgres'), `source_${own.lab.name}`, 'extractor');
  own.stopWorkers = await own.lab.startWorkers({ source });
}

async function insertAndAwait(source: Client, row: number): Promise<void> {
  await source.query('INSERT INTO t VALUES ($1)', [row]);
  await waitUntil(async () => {
    const found = await own.lab.warehouse.query('SELECT FROM bronze.br_t WHERE id = $1', [row]);
    return found.rowCount === 1;
  }, 60_000);
}

async function expectFailover(source: Client, slot: string, failover: boolean): Promise<void> {
  const { rows } = await source.query('SELECT failover FROM pg_replication_slots WHERE slot_name = $1', [
    slot,
  ]);
  expect(rows).toEqual([{ failover }]);
}

/** Waits until a standby has what the slot has acknowledged on the primary by now. */
async function untilSynchronized(primary: Client, standby: Client, slot: string): Promise<void> {
  const { rows } = await primary.query<{ position: string }>(
    'SELECT confirmed_flush_lsn AS position FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  await waitUntil(async () => {
    const found = await standby.query(
      `SELECT FROM pg_replication_slots
        WHERE slot_name = $1 AND synced AND NOT temporary AND confirmed_flush_lsn >= $2::pg_lsn`,
      [slot, rows[0]?.position],
    );
    return found.rowCount === 1;
  }, 60_000);
}

/** Writes a heartbeat, which is no change, just as captures do. */
async function writtenHeartbeat(): Promise<string> {
  const { rows } = await own.lab.source.query<{ lsn: string }>(
    `SELECT pg_logical_emit_message(false, 'datakit-postgres', '')::text AS lsn`,
  );
  return rows[0]?.lsn ?? '';
}

async function untilPast(slot: string, position: string): Promise<void> {
  await waitUntil(async () => {
    const found = await own.lab.warehouse.query(
      'SELECT FROM bronze.cdc_positions WHERE slot = $1 AND position >= $2::pg_lsn',
      [slot, position],
    );
    return found.rowCount === 1;
  });
}

async function connected(url: string): Promise<AsyncDisposable & { readonly client: Client }> {
  const client = new Client(url);
  client.on('error', () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.end() };
}
