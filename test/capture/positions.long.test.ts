import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { createExtractor } from '../setup/roles.ts';

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

describe('before it streams, a capture compares its position with the slot:', () => {
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
