import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FailureKind } from '../../src/contract/failures.ts';
import type { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import type { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { resetRun } from '../setup/reset-run.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';
import { pendingActivities } from './pending-activities.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
});
afterAll(async () => own[Symbol.asyncDispose]());

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
  await waitUntil(async () => (await captures.slots(slot)) === 0);
  const known = `SELECT FROM bronze.cdc_positions WHERE slot = $1 AND status <> 'dropped'`;
  expect((await lab.warehouse.query(known, [slot])).rowCount).toBe(0);
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
      expectFailure(own.catchUp(slot, { tables }), kind, text);
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
    await expectFailure(
      handle.executeUpdate('addTables', { args: [['hidden_2']] }),
      'InsufficientPrivilege',
      'hidden_2',
    );
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

test.each(['first task', 'last task'] as const)(
  'a capture that is reset to its %s during its first copy makes that copy anew',
  { tags: 'long' },
  async (task) => {
    const table = `reset_to_${task.replace(' ', '_')}`;
    await lab.source.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY); INSERT INTO ${table} VALUES (1), (2)`,
    );
    const slot = captures.slotName();
    const held = await HeldCopies.hold(lab, 'before the first');
    const handle = await captures.start({ tables: [table], slot, mirror: true });
    await held.reached();
    await lab.source.query(`DELETE FROM ${table} WHERE id = 1; INSERT INTO ${table} VALUES (3)`);
    await resetRun(lab, handle, task);
    await held.release();
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    await expectSameRows(lab, table, `bronze.br_${table}`);
    await captures.end(handle, slot);
  },
);

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
