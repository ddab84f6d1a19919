import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropCapture } from '../../src/capture/drop-capture.ts';
import { streamChanges } from '../../src/capture/stream-changes.ts';
import { captureChangesExample, captureChangesInput } from '../../src/contract/capture-changes.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import type { StreamRequest } from '../../src/contract/capture-activities.ts';
import { parseInput } from '../../src/contract/parse-input.ts';
import type { ConnectionSettings } from '../../src/postgres/connection-settings.ts';
import { Database, type TransactionOptions } from '../../src/postgres/database.ts';
import { ReplicationSession } from '../../src/postgres/replication/replication-session.ts';
import { WalStream } from '../../src/postgres/replication/wal-stream.ts';
import type { Session } from '../../src/postgres/session.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import type { CaptureHandle, CaptureLab } from '../setup/capture-lab.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import type { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { expectRefused, OwnSource } from './own-source.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
  // its worker uses the warehouse, and does not wait for the locks of a test before it has migrated that
  await lab.source.query('CREATE TABLE begun AS SELECT 1 AS id');
  await lab.extract({ table: 'begun' });
});
afterAll(async () => own[Symbol.asyncDispose]());

function settingsOfSource(): ConnectionSettings {
  const settings = lab.configuration().sources.get('default');
  if (settings === undefined) throw new Error('the lab has no source');
  return settings;
}

async function readerOf(slot: string): Promise<number | null> {
  const { rows } = await lab.source.query<{ pid: number | null }>(
    'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  return rows[0]?.pid ?? null;
}

/** Does something while the walsender of a slot is stopped; returns the walsender's process id. */
async function whileStopped(slot: string, work: () => Promise<void>): Promise<number> {
  const walsender = await readerOf(slot);
  if (walsender === null) throw new Error('nobody reads from the slot');
  process.kill(walsender, 'SIGSTOP');
  try {
    await work();
  } finally {
    process.kill(walsender, 'SIGCONT');
  }
  return walsender;
}

/** Lets a process run only now and then until the end of something else. */
async function slowedDown(pid: number, until: Promise<void>): Promise<void> {
  const over = until.then(() => true);
  try {
    do {
      process.kill(pid, 'SIGSTOP');
      await sleep(300);
      process.kill(pid, 'SIGCONT');
    } while (!(await Promise.race([over, sleep(10, false)])));
  } finally {
    await over;
  }
}

async function pendingActivities(handle: CaptureHandle): Promise<string[]> {
  const { raw } = await handle.describe();
  return raw.pendingActivities?.map(({ activityType }) => activityType?.name ?? '') ?? [];
}

async function endStream(slot: string): Promise<void> {
  await own.asAdmin(
    `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}' AND active_pid IS NOT NULL`,
  );
  await waitUntil(async () => (await readerOf(slot)) === null);
}

async function endOfLog(): Promise<string> {
  const { rows } = await lab.source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  return rows[0]?.lsn ?? '';
}

/** Requests a stream up to the current end of the source's WAL. */
async function requestFor(slot: string): Promise<StreamRequest> {
  const { rows } = await lab.warehouse.query<{ captureId: string }>(
    `SELECT capture_id::text AS "captureId" FROM bronze.cdc_positions WHERE slot = $1`,
    [slot],
  );
  return {
    captureId: rows[0]?.captureId ?? '',
    input: parseInput(captureChangesInput, { tables: ['t'], slot, publication: slot }, captureChangesExample),
    duration: 60_000,
    untilPosition: await endOfLog(),
    runId: randomUUID(),
    workflowId: 'none',
  };
}

/** A warehouse client that falls asleep before the transaction that would write changes. */
class SleepingDatabase extends Database {
  #fall: () => void = () => undefined;
  #wake: () => void = () => undefined;
  readonly asleep = new Promise<void>((resolve) => (this.#fall = resolve));
  readonly #awake = new Promise<void>((resolve) => (this.#wake = resolve));
  #transactions = 0;

  wake(): void {
    this.#wake();
  }

  override async write<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    this.#transactions += 1;
    // earlier transactions end stray sessions and read the position
    if (this.#transactions > 2) {
      this.#fall();
      await this.#awake;
    }
    return super.write(options, work);
  }
}

test('a capture that is cancelled in the middle of its first copy leaves nothing behind', async () => {
  const slot = captures.slotName();
  const blocker = await lab.connect('source');
  await lab.source.query('CREATE TABLE slow (id int PRIMARY KEY)');
  await blocker.query('BEGIN; INSERT INTO slow VALUES (1)');
  const handle = await captures.start({ tables: ['slow'], slot });
  // creating the slot waits for the open transaction, and says so
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
  const unknown = { position: null, lagBytes: null, lagSeconds: null, slotLagBytes: null };
  expect(await captures.status(handle)).toMatchObject(unknown);
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

test('tables that the role may not read, or whose rows could not be found, are named before any is copied', async () => {
  await lab.source
    .query(`CREATE TABLE hidden_1 (id int PRIMARY KEY, v text); CREATE TABLE hidden_2 (id int PRIMARY KEY);
    CREATE TABLE hidden_3 (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE hidden_3_1 PARTITION OF hidden_3 FOR VALUES FROM (0) TO (10); INSERT INTO hidden_3 VALUES (1);
    INSERT INTO hidden_1 VALUES (1, 'not sent'); REVOKE SELECT ON hidden_1, hidden_2, hidden_3_1 FROM extractor`);
  await own.asAdmin('REVOKE pg_read_all_data FROM extractor');
  try {
    const slot = captures.slotName();
    const refused = async (tables: string[], kind: FailureKind, text: RegExp) =>
      expectRefused(own, slot, { kind, text }, { tables });
    const grant =
      /GRANT SELECT ON "public"."hidden_1", "public"."hidden_2", "public"."hidden_3_1" TO "extractor"/;
    await refused(['t', 'hidden_1', 'hidden_2', 'hidden_3'], 'InsufficientPrivilege', grant);
    expect((await lab.source.query('SELECT FROM pg_publication')).rowCount).toBe(0);
    const publish = (table: string, column: string) =>
      `CREATE PUBLICATION ${slot} FOR TABLE ${table} (${column}) WITH (publish_via_partition_root = true)`;
    await lab.source.query(`${publish('hidden_1', 'v')}; GRANT SELECT ON hidden_1 TO extractor`);
    await refused(['hidden_1'], 'KeyConflict', /does not send "id" of public.hidden_1/);
    // what is not sent need not be read
    await lab.source.query(`DROP PUBLICATION ${slot}; ${publish('hidden_1', 'id')};
      REVOKE SELECT ON hidden_1 FROM extractor; GRANT SELECT (id, ctid) ON hidden_1 TO extractor`);
    const handle = await captures.start({ tables: ['hidden_1'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await expect(handle.executeUpdate('addTables', { args: [['hidden_2']] })).rejects.toMatchObject({
      cause: { type: 'InsufficientPrivilege', message: expect.stringContaining('hidden_2') as string },
    });
    expect((await lab.warehouse.query('SELECT id FROM bronze.br_hidden_1')).rows).toEqual([{ id: 1 }]);
    await captures.end(handle, slot);
    await lab.source.query(`DROP PUBLICATION ${slot}`);
  } finally {
    await own.asAdmin('GRANT pg_read_all_data TO extractor');
  }
});

test(
  'a first copy that is under way is left alone by another capture of its slot, which goes on when it has ended',
  { tags: 'long' },
  async () => {
    await lab.source.query(
      'CREATE TABLE wanted_twice (id int PRIMARY KEY); INSERT INTO wanted_twice VALUES (1)',
    );
    const slot = captures.slotName();
    const held = await HeldCopies.hold(lab, 'before the first');
    const request = { tables: ['wanted_twice'], slot, until: 'caught-up' as const };
    const first = await captures.start(request);
    await held.reached();
    const second = await captures.start(request);
    expect(await pendingFailure(second)).toContain(
      `The first copy on slot "${slot}" is being made by the workflow "${first.workflowId}"`,
    );
    await held.release();
    await expect(first.result()).resolves.toMatchObject({ copiedRows: 1, warnings: [] });
    await expect(second.result()).resolves.toMatchObject({ outcome: 'caught up', copiedRows: 0 });
    await captures.drop({ slot });
  },
);

test("a capture that ends drops no slot that is another capture's by now", { tags: 'long' }, async () => {
  const slot = await own.captured();
  const source = new Database({ label: 'source', settings: settingsOfSource() });
  const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
  const { signal } = new AbortController();
  const nothing = { slot: false, publication: false, bookkeeping: false };
  const target = { slot, source: 'default', captureId: '0' };
  await expect(dropCapture(target, randomUUID(), { source, warehouse, signal })).resolves.toEqual(nothing);
  await Promise.all([source, warehouse].map(async (database) => database.close()));
  expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
});

test('a publication stays for as long as somebody else may read from it', { tags: 'long' }, async () => {
  const publication = captures.slotName();
  const [one, other] = [captures.slotName(), captures.slotName()];
  const request = { tables: ['t'], publication, initialCopy: false };
  await captures.catchUp({ ...request, slot: one });
  await captures.catchUp({ ...request, slot: other });
  const kept = { slot: true, publication: false, bookkeeping: true };
  const handle = await captures.start({ ...request, slot: one });
  await expect(handle.executeUpdate('removeTables', { args: [['t']] })).rejects.toMatchObject({
    cause: { message: expect.stringContaining(`The capture of slot "${other}" has public.t`) },
  });
  await handle.cancel();
  await handle.result().catch(() => undefined);
  expect(await captures.drop({ slot: one })).toEqual(kept);
  await own.insert();
  await expect(captures.catchUp({ ...request, slot: other })).resolves.toMatchObject({ changes: 1 });
  // what a slot of another warehouse or a subscription reads is unknown
  await own.asAdmin(`SELECT pg_create_logical_replication_slot('${one}', 'pgoutput')`);
  expect(await captures.drop({ slot: other })).toEqual(kept);
  await own.asAdmin(`SELECT pg_drop_replication_slot('${one}')`);
  const gone = { slot: false, publication: true, bookkeeping: false };
  expect(await captures.drop({ slot: other, publication })).toEqual(gone);
});

test(
  'what a publication did not send for a while is noticed, and the copies that lack it are made again',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE TABLE sent (id int PRIMARY KEY, v int); INSERT INTO sent VALUES (1, 1);
    CREATE TABLE always_sent (id int PRIMARY KEY)`);
    const slot = captures.slotName();
    const request = { tables: ['always_sent', 'sent'], slot, mirror: true };
    await captures.catchUp(request);
    await lab.source.query(`ALTER PUBLICATION ${slot} DROP TABLE sent; INSERT INTO sent VALUES (2, 2);
    ALTER PUBLICATION ${slot} ADD TABLE sent`);
    const { warnings } = await captures.catchUp(request);
    expect(warnings).toEqual([
      expect.stringMatching(/^The publication ".*" does not send public.sent, or did not for a while/),
      expect.stringMatching(/^The copies of public.sent are made again/),
    ]);
    await expectSameRows(lab, 'sent', 'bronze.br_sent');
    // a stream that begins while the capture runs notices it as well
    const handle = await captures.start(request);
    await captures.untilStreaming(handle);
    await waitUntil(async () => (await readerOf(slot)) !== null);
    await lab.source.query(`ALTER PUBLICATION ${slot} DROP TABLE sent; INSERT INTO sent VALUES (3, 3);
    ALTER PUBLICATION ${slot} ADD TABLE sent`);
    await own.asAdmin(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    );
    const copied = `SELECT FROM bronze.br_sent WHERE id = 3`;
    await waitUntil(async () => (await lab.warehouse.query(copied)).rowCount === 1);
    await handle.cancel();
    await handle.result().catch(() => undefined);
    await expectSameRows(lab, 'sent', 'bronze.br_sent');
    await lab.source.query(`ALTER PUBLICATION ${slot} SET (publish = 'insert'); UPDATE sent SET v = 3`);
    await expect(captures.catchUp(request)).rejects.toMatchObject({
      cause: {
        type: 'PublicationConflict',
        message: expect.stringMatching(/sends no update, no delete, .* any more/),
      },
    });
    await lab.source.query(`ALTER PUBLICATION ${slot} SET (publish = 'insert, update, delete, truncate')`);
    await captures.catchUp(request);
    await expectSameRows(lab, 'sent', 'bronze.br_sent');
    await captures.drop({ slot });
  },
);

test(
  'a table that a publication sends again is copied again, though its copy was given up meanwhile',
  { tags: 'long' },
  async () => {
    await lab.source.query('CREATE TABLE away (id int PRIMARY KEY); INSERT INTO away VALUES (1)');
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['away'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await waitUntil(async () => (await readerOf(slot)) !== null);
    await lab.source.query(`ALTER PUBLICATION ${slot} DROP TABLE away; DROP TABLE away`);
    await endStream(slot);
    await waitUntil(async () => (await captures.status(handle)).givenUp.length === 1);
    await lab.source.query(`CREATE TABLE away (id int PRIMARY KEY); INSERT INTO away VALUES (2);
      ALTER PUBLICATION ${slot} ADD TABLE away`);
    await waitUntil(async () => (await readerOf(slot)) !== null);
    await endStream(slot);
    const copied = `SELECT FROM bronze.br_away WHERE id = 2`;
    await waitUntil(async () => (await lab.warehouse.query(copied)).rowCount === 1);
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    expect(await captures.status(handle)).toMatchObject({ givenUp: [] });
    await lab.source.query('INSERT INTO away VALUES (3)');
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'away', 'bronze.br_away');
    await captures.end(handle, slot);
  },
);

describe('before it streams, a capture compares its position with the slot:', () => {
  test('a slot that nobody knows a position for is refused, and left as it is', async () => {
    const slot = captures.slotName();
    await own.asAdmin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectRefused(own, slot, { kind: 'SlotConflict', text: /has no position for it/ });
    await own.asAdmin(
      `SELECT pg_drop_replication_slot('${slot}'); SELECT pg_create_physical_replication_slot('${slot}')`,
    );
    await expectRefused(own, slot, { kind: 'SlotConflict', text: /is a physical slot/ });
    await own.asAdmin(`SELECT pg_drop_replication_slot('${slot}')`);
  });

  test('a slot that is gone, and one that was made anew', async () => {
    const slot = await own.captured();
    await own.asAdmin(`SELECT pg_drop_replication_slot('${slot}')`);
    await expectRefused(own, slot, {
      kind: 'SlotLost',
      text: /no longer exists; the warehouse has changes up to/,
    });
    await own.insert();
    await own.asAdmin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectRefused(own, slot, {
      kind: 'PositionConflict',
      text: /was dropped and created again, or .*B of log lie between/,
    });
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
  });

  test('a warehouse that lacks the end of the first copy, as one that was restored or failed over', async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await lab.warehouse.query(`UPDATE bronze.cdc_positions SET status = 'copying' WHERE slot = $1`, [slot]);
    await expect(handle.result()).rejects.toMatchObject({
      cause: {
        type: 'PositionConflict',
        message: expect.stringMatching(/no longer knows that the first copy on slot .* has ended/) as string,
      },
    });
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
  });

  test(
    'a slot that somebody else has advanced, even so far that it needs no log from before',
    { tags: 'long' },
    async () => {
      const slot = await own.captured();
      await own.insert();
      await own.asAdmin('SELECT pg_log_standby_snapshot()');
      await own.asAdmin(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
      await expectRefused(own, slot, {
        kind: 'PositionConflict',
        text: /somebody else has read from it or advanced it/,
      });
      await captures.drop({ slot });
    },
  );

  test('a slot that is behind, because an acknowledgement was lost: nothing comes twice', async () => {
    const slot = await own.captured();
    await own.asAdmin(`SELECT pg_copy_logical_replication_slot('${slot}', '${slot}_behind')`);
    await own.insert();
    await own.catchUp(slot);
    const before = await captures.changes(slot);
    await own.asAdmin(`SELECT pg_drop_replication_slot('${slot}');
      SELECT pg_copy_logical_replication_slot('${slot}_behind', '${slot}'); SELECT pg_drop_replication_slot('${slot}_behind')`);
    await own.insert();
    await expect(own.catchUp(slot)).resolves.toMatchObject({
      changes: 1,
    });
    expect(await captures.changes(slot)).toHaveLength(before.length + 1);
    await expectSameRows(lab, 't', 'bronze.br_t');
    await captures.drop({ slot });
  });

  test('a slot that another session reads from is waited for', { tags: 'long' }, async () => {
    const slot = await own.captured();
    const other = await ReplicationSession.open(
      new Database({ label: 'other', settings: settingsOfSource() }),
      'somebody else',
      new AbortController().signal,
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
});

test(
  'a slot that is advanced between two attempts of a stream is noticed by the next',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false });
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    await endStream(slot);
    await waitUntil(async () => {
      await own.insert();
      const advance = own.asAdmin(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
      return advance.then(
        () => true,
        () => endStream(slot).then(() => false), // the stream was faster
      );
    });
    await waitUntil(async () => (await handle.describe()).status.name !== 'RUNNING');
    await expect(handle.result()).rejects.toMatchObject({
      cause: {
        type: 'PositionConflict',
        message: expect.stringMatching(/somebody else has read from it or advanced it/),
      },
    });
    await captures.drop({ slot });
  },
);

test(
  'a stream that slept while another wrote has acknowledged nothing, and writes nothing more',
  { tags: 'long' },
  async () => {
    const slot = await own.captured();
    const before = await captures.changes(slot);
    await own.insert();
    const request = await requestFor(slot);
    const source = new Database({ label: 'source', settings: settingsOfSource() });
    const sleeper = new SleepingDatabase({ label: 'warehouse', settings: lab.configuration().warehouse });
    const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
    const { signal } = new AbortController();
    const context = { source, signal, onProgress: () => undefined };
    const slept = streamChanges(request, { ...context, warehouse: sleeper });
    await sleeper.asleep;
    await streamChanges(request, { ...context, warehouse });
    const written = await captures.changes(slot);
    // and nothing was acknowledged that was read but not written
    expect(written).toHaveLength(before.length + 1);
    sleeper.wake();
    await expect(slept).rejects.toMatchObject({ kind: 'SerializationFailure' });
    expect(await captures.changes(slot)).toEqual(written);
    await Promise.all([source, sleeper, warehouse].map(async (database) => database.close()));
    await captures.drop({ slot });
  },
);

test(
  'a copy that a lost attempt wanted is still wanted at the end of the next',
  { tags: 'long' },
  async () => {
    const slot = await own.captured();
    // only what the attempt has committed is left of it
    await lab.warehouse.query(
      `UPDATE bronze.cdc_tables SET status = 'copying', copied_at = NULL
      WHERE capture_id = (SELECT capture_id FROM bronze.cdc_positions WHERE slot = $1)`,
      [slot],
    );
    await own.insert();
    const source = new Database({ label: 'source', settings: settingsOfSource() });
    const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
    const { signal } = new AbortController();
    const context = { source, warehouse, signal, onProgress: () => undefined };
    const { reason, copyWanted } = await streamChanges(await requestFor(slot), context);
    expect({ reason, copyWanted }).toEqual({
      reason: 'caught up',
      copyWanted: [{ schema: 'public', name: 't' }],
    });
    await Promise.all([source, warehouse].map(async (database) => database.close()));
    await captures.drop({ slot });
  },
);

/** Counts its transactions that only read. */
class CountedDatabase extends Database {
  reads = 0;

  override async read<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    this.reads += 1;
    return super.read(options, work);
  }
}

test(
  'a capture whose number another has, in a warehouse that was restored, does not go on as that one',
  { tags: 'long' },
  async () => {
    const [slot, other] = [captures.slotName(), captures.slotName()];
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false });
    await captures.untilStreaming(handle);
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await own.catchUp(other, { initialCopy: false, mirror: false });
    const ofSlot = 'WHERE capture_id = (SELECT capture_id FROM bronze.cdc_positions WHERE slot = $1)';
    for (const table of ['cdc_tables', 'cdc_changes'])
      await lab.warehouse.query(`DELETE FROM bronze.${table} ${ofSlot}`, [slot]);
    await lab.warehouse.query('DELETE FROM bronze.cdc_tables ' + ofSlot, [other]);
    await lab.warehouse.query(
      `WITH lost AS (DELETE FROM bronze.cdc_positions WHERE slot = $1 RETURNING jsonb_build_object('capture_id', capture_id) AS number),
          left_over AS (DELETE FROM bronze.cdc_positions AS p USING lost WHERE slot = $2 RETURNING p AS it, number)
     INSERT INTO bronze.cdc_positions OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(it, number)).* FROM left_over`,
      [slot, other],
    );
    const positions = 'SELECT position::text, slot FROM bronze.cdc_positions WHERE slot = ANY ($1)';
    const before = (await lab.warehouse.query(positions, [[slot, other]])).rows;
    await own.insert();
    await handle.signal('resume');
    await expect(handle.result()).rejects.toMatchObject({
      cause: {
        type: 'SlotLost',
        message: expect.stringMatching(RegExp(`of slot "${slot}" was dropped, or`)),
      },
    });
    expect((await lab.warehouse.query(positions, [[slot, other]])).rows).toEqual(before);
    for (const name of [slot, other]) await captures.drop({ slot: name, publication: name });
  },
);

test('the catalog is asked once for the partitions that change in a segment, however many they are', async () => {
  await lab.source.query(`CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    DO $$ BEGIN FOR n IN 1..60 LOOP
      EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', n, n, n + 1);
    END LOOP; END $$`);
  const slot = captures.slotName();
  await own.catchUp(slot, { tables: ['parts'] });
  await lab.source.query(`INSERT INTO parts SELECT n, 'new' FROM generate_series(1, 60) AS n;
    UPDATE parts SET v = 'changed' WHERE id % 2 = 0`);
  const source = new CountedDatabase({ label: 'source', settings: settingsOfSource() });
  const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
  const { signal } = new AbortController();
  await streamChanges(await requestFor(slot), { source, warehouse, signal, onProgress: () => undefined });
  await expectSameRows(lab, 'parts', 'bronze.br_parts');
  expect(source.reads).toBeLessThan(20);
  await Promise.all([source, warehouse].map(async (database) => database.close()));
  await captures.drop({ slot });
});

test(
  'a transaction in hundreds of tables that only the publication has costs one question, and keeps no table out',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    await own.catchUp(slot);
    await lab.source.query(`CREATE SCHEMA crowd; DO $$ BEGIN
      FOR n IN 1..501 LOOP EXECUTE format('CREATE TABLE crowd.t%s (id int PRIMARY KEY)', n); END LOOP; END $$`);
    await own.asAdmin(`ALTER PUBLICATION ${slot} ADD TABLES IN SCHEMA crowd`);
    await lab.source.query(`DO $$ BEGIN
      FOR n IN 1..501 LOOP EXECUTE format('INSERT INTO crowd.t%s VALUES (1)', n); END LOOP; END $$`);
    const source = new CountedDatabase({ label: 'source', settings: settingsOfSource() });
    const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
    const { signal } = new AbortController();
    await streamChanges(await requestFor(slot), { source, warehouse, signal, onProgress: () => undefined });
    expect(source.reads).toBeLessThan(20);
    await Promise.all([source, warehouse].map(async (database) => database.close()));
    expect(await captures.changes(slot)).toHaveLength(501);
    await lab.source.query('CREATE TABLE beside_a_crowd (id int PRIMARY KEY)');
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    const tables = await handle.executeUpdate('addTables', { args: [['beside_a_crowd']] });
    expect(tables).toHaveLength(503);
    await captures.end(handle, slot);
    await own.asAdmin('DROP SCHEMA crowd CASCADE');
  },
);

test('the snapshot of a slot is held for longer than transactions of the role may last', async () => {
  const database = new Database({ label: 'source', settings: settingsOfSource() });
  await own.asAdmin(`ALTER ROLE extractor SET transaction_timeout = '300ms'`);
  const session = await ReplicationSession.open(database, 'run', new AbortController().signal);
  await own.asAdmin('ALTER ROLE extractor RESET transaction_timeout');
  await session.createSlot('held_for_long', 'temporary');
  await lab.source.query('SELECT pg_sleep(0.6)');
  expect(session.lost).toBeUndefined();
  await session[Symbol.asyncDispose]();
});

test('a replication session that is aborted does not wait for a server that hangs', async () => {
  const settings = settingsOfSource();
  await using proxy = await TcpProxy.start(settings);
  const database = new Database({ label: 'source', settings: { ...settings, port: proxy.port } });
  const cancelling = new AbortController();
  await using session = await ReplicationSession.open(database, 'run', cancelling.signal);
  proxy.stall();
  const asking = session.identify();
  cancelling.abort(new Error('stop'));
  await expect(asking).rejects.toThrow('stop');
});

test(
  'when the snapshot of a slot is lost before the first copy is done, a new slot is made, and the capture says so',
  { tags: 'long' },
  async () => {
    await lab.source.query('CREATE TABLE fragile (id int PRIMARY KEY); INSERT INTO fragile VALUES (1), (2)');
    const slot = captures.slotName();
    const held = await HeldCopies.hold(lab, 'before the first');
    const handle = await captures.start({ tables: ['fragile'], slot, mirror: true, until: 'caught-up' });
    await held.reached();
    // so far, one session holds the snapshot
    await lab.source.query('INSERT INTO fragile VALUES (3)');
    await own.asAdmin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'walsender'`);
    await waitUntil(async () => !(await pendingActivities(handle)).includes('holdSlot'));
    await held.release();
    await expect(handle.result()).resolves.toMatchObject({
      outcome: 'caught up',
      changes: 0,
      warnings: ['The snapshot of the slot was lost: the first copy began again on a new one.'],
    });
    await expectSameRows(lab, 'fragile', 'bronze.br_fragile');
    await captures.drop({ slot });
  },
);

test('a table that is dropped before the first copy comes to it holds up no other', async () => {
  await lab.source.query(`CREATE TABLE stays (id int PRIMARY KEY); INSERT INTO stays VALUES (1);
    CREATE TABLE stays_not (id int PRIMARY KEY); INSERT INTO stays_not VALUES (1)`);
  const slot = captures.slotName();
  const held = await HeldCopies.hold(lab, 'before the first');
  const handle = await captures.start({ tables: ['stays', 'stays_not'], slot, mirror: true });
  await held.reached();
  await lab.source.query('DROP TABLE stays_not; INSERT INTO stays VALUES (2)');
  await held.release();
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  expect(await captures.status(handle)).toMatchObject({
    copying: [],
    givenUp: ['public.stays_not'],
    warnings: [
      expect.stringMatching(/^The copy of public.stays_not failed, .* is no longer in the source/) as string,
    ],
  });
  await expectSameRows(lab, 'stays', 'bronze.br_stays');
  await handle.executeUpdate('removeTables', { args: [['stays_not']] });
  expect(await captures.status(handle)).toMatchObject({ tables: ['public.stays'], givenUp: [] });
  await captures.end(handle, slot);
});

test(
  'a table that is rewritten before the first copy comes to it is not taken for an empty one',
  { tags: 'long' },
  async () => {
    await lab.source
      .query(`CREATE TABLE copied_first (id int PRIMARY KEY); INSERT INTO copied_first VALUES (1);
    CREATE TABLE copied_later (id int PRIMARY KEY, n int); INSERT INTO copied_later VALUES (1, 1), (2, 2)`);
    const slot = captures.slotName();
    const held = await HeldCopies.hold(lab, 'before the first');
    const request = { tables: ['copied_first', 'copied_later'], slot, mirror: true };
    const handle = await captures.start({ ...request, until: 'caught-up' });
    await held.reached();
    await lab.source.query(
      'ALTER TABLE copied_later ALTER n TYPE bigint; INSERT INTO copied_later VALUES (3, 3)',
    );
    await held.release();
    // tables copied earlier are not copied again
    await expect(handle.result()).resolves.toMatchObject({
      copiedRows: 4,
      warnings: [
        'public.copied_later changed before the first copy came to it: it is copied while changes stream.',
      ],
    });
    await captures.catchUp(request);
    await expectSameRows(lab, 'copied_later', 'bronze.br_copied_later');
    await captures.drop({ slot });
  },
);

test(
  'rows that come before the copy of an added table is planned are there, whatever columns came or went since',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE TABLE added_first (id int PRIMARY KEY); INSERT INTO added_first VALUES (1);
    CREATE TABLE added_later (id int PRIMARY KEY, v int); INSERT INTO added_later VALUES (1, 1)`);
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    const addAround = async (tables: string[], meanwhile: string) => {
      const held = await HeldCopies.hold(lab, 'before the first');
      await handle.executeUpdate('addTables', { args: [tables] });
      await held.reached();
      await lab.source.query(meanwhile);
      await captures.untilWritten(slot);
      await held.release();
      await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
      await captures.untilWritten(slot);
      // a column added without a change is not visible yet
      await expectSameRows(lab, 'added_later', 'bronze.br_added_later', { columns: ['id'] });
    };
    await addAround(
      ['added_first', 'added_later'],
      'INSERT INTO added_later VALUES (2, 2); ALTER TABLE added_later ADD COLUMN w int DEFAULT 7',
    );
    await handle.executeUpdate('removeTables', { args: [['added_later']] });
    await lab.warehouse.query('DROP TABLE bronze.br_added_later');
    await addAround(
      ['added_later'],
      'ALTER TABLE added_later DROP COLUMN v; INSERT INTO added_later VALUES (3, 3)',
    );
    await captures.end(handle, slot);
  },
);

test(
  'a holder that was given up, and records its snapshot late, leaves no gap between copy and changes',
  { tags: 'long' },
  async () => {
    await lab.source.query('CREATE TABLE held_twice (id int PRIMARY KEY); INSERT INTO held_twice VALUES (1)');
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    const held = await HeldCopies.hold(lab, 'before the first');
    await handle.executeUpdate('addTables', { args: [['held_twice']] });
    await held.reached();
    await lab.source.query('INSERT INTO held_twice VALUES (2)');
    await captures.untilWritten(slot);
    await lab.warehouse.query(
      `UPDATE bronze.cdc_tables SET copied_at = $1 WHERE "table" = 'held_twice' AND status = 'copying'`,
      [await endOfLog()],
    );
    await held.release();
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'held_twice', 'bronze.br_held_twice');
    await captures.end(handle, slot);
  },
);

test(
  'a run that replaces a copy before changes are applied to it does not become that copy',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE TABLE replaced (id int PRIMARY KEY, v text);
    INSERT INTO replaced VALUES (1, 'a'), (2, 'b')`);
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    const held = await HeldCopies.hold(lab, 'before the first');
    await handle.executeUpdate('addTables', { args: [['replaced']] });
    await held.reached();
    const keeper = await lab.connect('warehouse');
    await keeper.query('BEGIN; SELECT FROM bronze.cdc_positions FOR UPDATE');
    await held.release();
    const committed = `SELECT FROM bronze.extraction_targets WHERE target = 'br_replaced'`;
    await waitUntil(async () => (await lab.warehouse.query(committed)).rowCount === 1);
    // what a run leaves that commits between the copy and its end
    await lab.warehouse.query(`DELETE FROM bronze.br_replaced WHERE id = 2;
    UPDATE bronze.extraction_targets SET run_id = 'another' WHERE target = 'br_replaced'`);
    await keeper.query('COMMIT');
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    await lab.source.query(`UPDATE replaced SET v = 'c' WHERE id = 1`);
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'replaced', 'bronze.br_replaced');
    await captures.end(handle, slot);
  },
);

test(
  'a slot for a copy that waits for open transactions goes with its capture',
  { tags: 'long' },
  async () => {
    await lab.source.query('CREATE TABLE waiting (id int PRIMARY KEY)');
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    const writer = await lab.connect('source');
    await writer.query('BEGIN; SELECT pg_current_xact_id()');
    await handle.executeUpdate('addTables', { args: [['waiting']] });
    const slots = async () =>
      (await lab.source.query('SELECT FROM pg_replication_slots WHERE temporary')).rowCount;
    await waitUntil(async () => (await slots()) === 1);
    await captures.end(handle, slot);
    await waitUntil(async () => (await slots()) === 0, 20_000);
    expect(await slots()).toBe(0); // while the transaction is open
    await writer.query('ROLLBACK');
  },
);

test(
  'what the copy of an added table has already is not logged by a stream that comes later',
  { tags: 'long' },
  async () => {
    await lab.source
      .query(`CREATE TABLE early (id int PRIMARY KEY); CREATE TABLE joining (id int PRIMARY KEY, v int);
    INSERT INTO joining VALUES (1, 0), (2, 0)`);
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['early'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    await whileStopped(slot, async () => {
      // the snapshot of the copy waits for the open transaction, and so comes after the update
      const open = await lab.connect('source');
      await open.query(`BEGIN; INSERT INTO t VALUES (${own.nextRow()})`);
      await handle.executeUpdate('addTables', { args: [['joining']] });
      // the stream describes this change without the column that the copy has
      await lab.source.query('UPDATE joining SET v = 1; ALTER TABLE joining ADD COLUMN w int DEFAULT 7');
      await lab.source.query('UPDATE joining SET w = 9 WHERE id = 2');
      await open.query('COMMIT');
      await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    });
    await lab.source.query('UPDATE joining SET v = 2 WHERE id = 1');
    await captures.untilWritten(slot);
    expect((await captures.changes(slot)).map(({ data }) => data)).toEqual(['{"v": 2, "w": 7, "id": 1}']);
    await expectSameRows(lab, 'joining', 'bronze.br_joining');
    await captures.end(handle, slot);
  },
);

test('a stream that is connected and comes no further is begun again', { tags: 'long' }, async () => {
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, initialCopy: false, stallTimeout: '2 seconds' });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  const walsender = await whileStopped(slot, async () => {
    await own.insert();
    expect(await pendingFailure(handle)).toMatch(/is connected and has come no further for .*before it/);
  });
  await captures.untilWritten(slot);
  expect(await readerOf(slot)).not.toBe(walsender);
  expect(await captures.changes(slot)).toHaveLength(1);
  await captures.end(handle, slot);
});

test(
  'a source that reads on, however long it finds nothing to send, is waited for',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    const handle = await captures.start({
      tables: ['t'],
      slot,
      initialCopy: false,
      stallTimeout: '3 seconds',
    });
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    await handle.signal('pause');
    await waitUntil(async () => (await readerOf(slot)) === null);
    await lab.source.query('CREATE TABLE uncaptured (id int)');
    for (let filled = 0; filled < 40; filled += 1) {
      await lab.source.query('INSERT INTO uncaptured SELECT generate_series(1, 10000)');
    }
    await own.insert();
    await handle.signal('resume');
    await waitUntil(async () => (await readerOf(slot)) !== null);
    const walsender = (await readerOf(slot)) ?? 0;
    await slowedDown(walsender, captures.untilWritten(slot, 120_000));
    expect(await readerOf(slot)).toBe(walsender);
    expect(await captures.changes(slot)).toHaveLength(1);
    await captures.end(handle, slot);
  },
);

describe('a slot that holds back more than it may', () => {
  /** An open transaction makes the slot retain WAL from that point on. */
  async function holdBack(): Promise<Client> {
    const open = await lab.connect('source');
    await open.query(`BEGIN; INSERT INTO t VALUES (${own.nextRow()});
      SELECT pg_logical_emit_message(false, 'filling', repeat('x', 2000000))`);
    return open;
  }

  test('is told of, or dropped where the input says so, and the capture ends with the reason', async () => {
    const [warned, dropped] = [captures.slotName(), captures.slotName()];
    const limit = { tables: ['t'], initialCopy: false, maxSlotLag: '1MB' };
    const warning = await captures.start({ ...limit, slot: warned });
    const dropping = await captures.start({ ...limit, slot: dropped, onSlotLag: 'drop' });
    await Promise.all([captures.untilStreaming(warning), captures.untilStreaming(dropping)]);
    await Promise.all([captures.untilWritten(warned), captures.untilWritten(dropped)]);
    const open = await holdBack();
    await expect(dropping.result()).rejects.toMatchObject({
      cause: {
        type: 'SlotLagExceeded',
        message: expect.stringMatching(/held back .*MB.*more than 1 MB, and was dropped/),
      },
    });
    expect(
      (await lab.source.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [dropped])).rowCount,
    ).toBe(0);
    await waitUntil(async () =>
      (await captures.status(warning)).warnings.some((one) => one.includes('"maxSlotLag"')),
    );
    expect((await captures.status(warning)).phase).toBe('streaming');
    await open.query('COMMIT');
    await captures.end(warning, warned);
  });

  test(
    'lets no copy of an added table go on until the stream has caught up, where the input says so',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE added (id int PRIMARY KEY); INSERT INTO added VALUES (1), (2)');
      const slot = captures.slotName();
      const limit = { initialCopy: true, mirror: true, maxSlotLag: '1MB', onSlotLag: 'pause' as const };
      await lab.source.query('CREATE TABLE base (id int PRIMARY KEY)');
      const handle = await captures.start({ ...limit, tables: ['base'], slot });
      await captures.untilStreaming(handle);
      await captures.untilWritten(slot);
      const open = await holdBack();
      // the snapshot of its copy waits for the open transaction
      await handle.executeUpdate('addTables', { args: [['added']] });
      await waitUntil(async () =>
        (await captures.status(handle)).warnings.some((one) => one.includes('"maxSlotLag"')),
      );
      const stuck = await lab.connect('warehouse');
      await stuck.query('BEGIN; LOCK TABLE bronze.cdc_changes IN SHARE MODE');
      await open.query('INSERT INTO base VALUES (1); COMMIT');
      await lab.planned();
      await lab.warehouse.query('SELECT pg_sleep(1)');
      expect((await captures.status(handle)).copying).toEqual(['public.added']);
      expect((await lab.warehouse.query('SELECT FROM bronze.extraction_plans')).rowCount).toBe(1);
      await stuck.query('COMMIT');
      await waitUntil(async () => (await captures.status(handle)).copying.length === 0, 60_000);
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'added', 'bronze.br_added');
      await captures.end(handle, slot);
    },
  );
});
