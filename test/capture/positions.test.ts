import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import type { ConnectionSettings } from '../../src/postgres/connection-settings.ts';
import { Database } from '../../src/postgres/database.ts';
import { ReplicationSession } from '../../src/postgres/replication/replication-session.ts';
import { WalStream } from '../../src/postgres/replication/wal-stream.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { createExtractor } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

const run = promisify(execFile);

let server: PostgresServer;
let lab: Lab;
let captures: CaptureLab;
let stopWorkers: () => Promise<void>;
beforeAll(async () => {
  server = await startPostgres({ settings: { fsync: 'off' } });
  await createExtractor(server);
  lab = await Lab.open({
    workers: 'none',
    servers: { source: server.url('postgres'), warehouse: inject('warehouseAdmin') },
  });
  stopWorkers = await lab.startWorkers();
  captures = await CaptureLab.open(lab);
  await lab.source.query('CREATE TABLE t (id int PRIMARY KEY)');
});
afterAll(async () => {
  await lab.close();
  await server.dispose();
});

const asAdmin = async (statement: string) => {
  await lab.source.query('RESET ROLE');
  await lab.source.query(statement);
  await lab.source.query('SET ROLE extractor');
};

function settingsOfSource(): ConnectionSettings {
  const settings = lab.configuration().sources.get('default');
  if (settings === undefined) throw new Error('the lab has no source');
  return settings;
}

let next = 0;
const insert = async () => lab.source.query(`INSERT INTO t VALUES (${(next += 1)})`);

/** A capture that has streamed a change, and ended. */
async function captured(): Promise<string> {
  const slot = captures.slotName();
  await captures.catchUp({ tables: ['t'], slot, mirror: true });
  await insert();
  await captures.catchUp({ tables: ['t'], slot, mirror: true });
  return slot;
}

async function expectRefused(slot: string, kind: FailureKind, text: RegExp): Promise<void> {
  const refused = captures.catchUp({ tables: ['t'], slot, mirror: true });
  await expect(refused).rejects.toMatchObject({
    cause: { type: kind, message: expect.stringMatching(text) },
  });
}

test('a capture that is cancelled in the middle of its first copy leaves nothing behind', async () => {
  const slot = captures.slotName();
  const blocker = await lab.connect('source');
  await lab.source.query('CREATE TABLE slow (id int PRIMARY KEY)');
  await blocker.query('BEGIN; INSERT INTO slow VALUES (1)');
  const handle = await captures.start({ tables: ['slow'], slot });
  // the slot waits for the transaction that is open, and says so
  await waitUntil(async () => {
    const { raw } = await handle.describe();
    const heard =
      raw.pendingActivities?.flatMap(({ heartbeatDetails }) => heartbeatDetails?.payloads ?? []) ?? [];
    return heard.some(({ data }) =>
      Buffer.from(data ?? [])
        .toString()
        .includes('waitingFor'),
    );
  });
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await blocker.query('COMMIT');
  await waitUntil(async () => {
    const slots = await lab.source.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [slot]);
    return slots.rowCount === 0;
  });
  expect(
    (
      await lab.warehouse.query(`SELECT FROM bronze.cdc_positions WHERE slot = $1 AND status <> 'dropped'`, [
        slot,
      ])
    ).rowCount,
  ).toBe(0);
  expect((await lab.source.query('SELECT FROM pg_publication WHERE pubname = $1', [slot])).rowCount).toBe(0);
});

describe('before it streams, a capture compares its position with the slot:', () => {
  test('a slot that nobody knows a position for is refused, and left as it is', async () => {
    const slot = captures.slotName();
    await asAdmin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectRefused(slot, 'SlotConflict', /has no position for it/);
    await asAdmin(
      `SELECT pg_drop_replication_slot('${slot}'); SELECT pg_create_physical_replication_slot('${slot}')`,
    );
    await expectRefused(slot, 'SlotConflict', /is a physical one/);
    await asAdmin(`SELECT pg_drop_replication_slot('${slot}')`);
  });

  test('a slot that is gone, and one that was made anew', async () => {
    const slot = await captured();
    await asAdmin(`SELECT pg_drop_replication_slot('${slot}')`);
    await expectRefused(slot, 'SlotLost', /is not there any more; the warehouse has changes up to/);
    await insert();
    await asAdmin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectRefused(slot, 'PositionConflict', /was dropped and made anew, and .*B of log lie between/);
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
  });

  test('a slot that somebody else has advanced', async () => {
    const slot = await captured();
    await insert();
    await asAdmin(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
    await expectRefused(slot, 'PositionConflict', /somebody else has read from it or advanced it/);
    await captures.drop({ slot });
  });

  test('a slot that is behind, because an acknowledgement was lost: nothing comes twice', async () => {
    const slot = await captured();
    await asAdmin(`SELECT pg_copy_logical_replication_slot('${slot}', '${slot}_behind')`);
    await insert();
    await captures.catchUp({ tables: ['t'], slot, mirror: true });
    const before = await captures.changes(slot);
    await asAdmin(`SELECT pg_drop_replication_slot('${slot}');
      SELECT pg_copy_logical_replication_slot('${slot}_behind', '${slot}'); SELECT pg_drop_replication_slot('${slot}_behind')`);
    await insert();
    await expect(captures.catchUp({ tables: ['t'], slot, mirror: true })).resolves.toMatchObject({
      changes: 1,
    });
    expect(await captures.changes(slot)).toHaveLength(before.length + 1);
    await expectSameRows(lab, 't', 'bronze.br_t');
    await captures.drop({ slot });
  });

  test('a slot that another session reads from is waited for', async () => {
    const slot = await captured();
    const other = await ReplicationSession.open(
      new Database({ label: 'other', settings: settingsOfSource() }),
      'somebody else',
    );
    const stream = new WalStream(
      `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${slot}')`,
      {
        onData: () => undefined,
        onKeepalive: () => undefined,
        onPause: () => undefined,
        onEnd: () => undefined,
      },
    );
    other.start(stream);
    await stream.started;
    const handle = await captures.start({ tables: ['t'], slot, mirror: true, until: 'caught-up' });
    expect(await pendingFailure(handle)).toMatch(/is active for PID \d+/);
    await other[Symbol.asyncDispose]();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'caught up' });
    await captures.drop({ slot });
  });

  test('a slot that was invalidated', async () => {
    const slot = await captured();
    await asAdmin(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
    await asAdmin('SELECT pg_reload_conf()');
    for (let segment = 0; segment < 3; segment += 1) {
      await insert();
      await asAdmin('SELECT pg_switch_wal()');
      await asAdmin('CHECKPOINT');
    }
    await expectRefused(slot, 'SlotLost', /was invalidated: the source has removed log that it needed/);
    await captures.drop({ slot });
    await asAdmin('ALTER SYSTEM RESET max_slot_wal_keep_size');
    await asAdmin('SELECT pg_reload_conf()');
  });

  test('a source that was restored from a backup', async () => {
    const slot = await captured();
    await server.stop('fast');
    const backup = `${server.dataDirectory}-backup`;
    await run('cp', ['-a', server.dataDirectory, backup]);
    await server.start();
    await lab.reconnect();
    await insert();
    await lab.source.query(
      'CREATE TABLE filling AS SELECT repeat(md5(i::text), 100) FROM generate_series(1, 10000) i',
    );
    await captures.catchUp({ tables: ['t'], slot, mirror: true });
    await server.stop('fast');
    await run('rm', ['-r', server.dataDirectory]);
    await rename(backup, server.dataDirectory);
    await server.start();
    await lab.reconnect();
    await expectRefused(slot, 'PositionConflict', /the source was restored from a backup/);
    await captures.drop({ slot });
  });

  test('another server behind the same name', async () => {
    const slot = await captured();
    await stopWorkers();
    const database = new URL(lab.warehouseUrl).pathname.slice(1);
    const elsewhere = withDatabase(inject('warehouseAdmin'), database);
    stopWorkers = await lab.startWorkers({ source: elsewhere });
    await expectRefused(slot, 'PositionConflict', /is another server than the one whose slot/);
  });
});
