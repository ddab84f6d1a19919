import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { Database } from '../../src/postgres/database.ts';
import { makePublication } from '../../src/postgres/replication/publications.ts';
import { administer } from '../setup/administer.ts';
import { CaptureLab, type CaptureHandle } from '../setup/capture-lab.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
  await lab.source
    .query(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two');
    CREATE TABLE keyless (a int); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY); CREATE SCHEMA empty;
    CREATE TABLE parts (a int) PARTITION BY LIST (a); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
    CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE); CREATE TABLE swapping (id int PRIMARY KEY DEFERRABLE);
    ALTER TABLE swapping REPLICA IDENTITY FULL;
    CREATE TABLE half_logged (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE UNLOGGED TABLE half_logged_1 PARTITION OF half_logged FOR VALUES FROM (0) TO (10);
    CREATE SCHEMA sales; CREATE TABLE sales.o (id int PRIMARY KEY); CREATE TABLE sales__o (id int PRIMARY KEY);
    CREATE TABLE computed (n int, twice int GENERATED ALWAYS AS (n * 2) STORED PRIMARY KEY);
    CREATE TABLE computed_row (n int, twice int GENERATED ALWAYS AS (n * 2) STORED)`);
});
afterAll(async () => lab.close());

async function slotsOf(pattern: string): Promise<number | null> {
  const slots = 'SELECT FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE $1';
  return (await lab.source.query(slots, [pattern])).rowCount;
}

/** Counts how often the workflow has started to stream. */
async function streamsOf(handle: CaptureHandle): Promise<number | undefined> {
  const { events } = await handle.fetchHistory();
  return events?.filter(
    ({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name === 'streamChanges',
  ).length;
}

describe('what cannot be captured is refused before anything is made:', () => {
  test.concurrent.each<[string, CaptureChangesRequest, FailureKind, RegExp]>([
    [
      'a key that is unknown',
      { tables: ['t'], slots: 's' } as CaptureChangesRequest,
      'InvalidInput',
      /slots: unknown key \(did you mean "slot"\?\)/,
    ],
    [
      'a name no slot can have',
      { tables: ['t'], slot: 'My-Slot' },
      'InvalidInput',
      /slot: expected a name of lower case/,
    ],
    ['no tables', { tables: [] }, 'InvalidInput', /tables: expected at least one table/],
    [
      'a table that is not there',
      { tables: ['tt'] },
      'UndefinedObject',
      /no table public.tt in the source \(did you mean "public.t"\?\)/,
    ],
    [
      'a table of another schema',
      { tables: ['o'] },
      'UndefinedObject',
      /no table public.o in the source \(did you mean "sales.o"\?\)/,
    ],
    [
      'a schema without tables',
      { tables: ['empty.*'] },
      'UndefinedObject',
      /The schema "empty" of the source has no tables/,
    ],
    [
      'all tables of all schemas',
      { tables: ['*.*'] },
      'UndefinedObject',
      /A capture takes names of tables and "schema.\*", but no other patterns/,
    ],
    [
      'a table without a key',
      { tables: ['keyless'] },
      'ReplicaIdentityMissing',
      /Nothing identifies the rows of public.keyless/,
    ],
    [
      'an unlogged table',
      { tables: ['unlogged'] },
      'UnsupportedTable',
      /public.unlogged has no changes in the write-ahead log/,
    ],
    [
      'a partitioned table with an unlogged partition',
      { tables: ['half_logged'] },
      'UnsupportedTable',
      /public.half_logged_1 has no changes in the write-ahead log/,
    ],
    [
      'a copy that is never made and is to be kept',
      { tables: ['t'], mirror: true, initialCopy: false },
      'InvalidInput',
      /mirror: expected false where "initialCopy" is/,
    ],
    [
      'a copy that cannot be kept',
      { tables: ['keyless'], mirror: true, setReplicaIdentity: 'full' },
      'KeyConflict',
      /has no primary key that holds at every moment .*\. Give it a primary key, remove it from "tables"/,
    ],
    [
      'a pattern of extractDatabase',
      { tables: ['public.t*'] },
      'UndefinedObject',
      /no table public.t\* in the source.*A capture takes names of tables and "schema\.\*"/,
    ],
    [
      'a table whose key PostgreSQL does not take as the identity of its rows',
      { tables: ['deferred'] },
      'ReplicaIdentityMissing',
      /Nothing identifies the rows of public.deferred \(a deferrable primary key does not\)/,
    ],
    [
      'a partitioned table without a key',
      { tables: ['parts'] },
      'ReplicaIdentityMissing',
      /Nothing identifies the rows of public.parts, public.parts_1/,
    ],
    [
      'the same where partitions that come later would have no identity, whatever is set now',
      { tables: ['parts'], setReplicaIdentity: 'full' },
      'ReplicaIdentityMissing',
      /Partitions that are added to public.parts later would have no replica identity/,
    ],
    [
      'a copy of rows that may have the same key for a moment',
      { tables: ['swapping'], mirror: true },
      'KeyConflict',
      /public.swapping has no primary key that holds at every moment/,
    ],
    [
      'rows that a generated column identifies, which is not sent',
      { tables: ['computed'] },
      'ReplicaIdentityMissing',
      /generated columns that the publication does not send: public.computed."twice"/,
    ],
    [
      'whole rows, of which a generated column is not sent',
      { tables: ['computed_row'], setReplicaIdentity: 'full' },
      'ReplicaIdentityMissing',
      /generated columns that the publication does not send: public.computed_row."twice"/,
    ],
    [
      'tables whose copies would have the same name',
      { tables: ['sales.o', 'sales__o'] },
      'TargetConflict',
      /sales.o and public.sales__o would both be copied to bronze.br_sales__o/,
    ],
    [
      'a source that is not known',
      { tables: ['t'], source: 'nowhere' },
      'UnknownSource',
      /no source "nowhere"/,
    ],
  ])('%s', async (_what, request, type, text) => {
    const refused = captures.catchUp({ slot: captures.slotName(), ...request });
    await expect(refused).rejects.toMatchObject({ cause: { type, message: expect.stringMatching(text) } });
    expect(await slotsOf('%')).toBe(0);
    expect((await lab.source.query('SELECT FROM pg_publication')).rowCount).toBe(0);
  });

  test('a role that may not, with the statement that somebody who may has to run', async () => {
    const superuser = new Client(inject('sourceAdmin').replace(/\/[^/]*$/, `/source_${lab.name}`));
    await superuser.connect();
    await superuser.query(`CREATE TABLE theirs (id int PRIMARY KEY)`);
    const slot = captures.slotName();
    await expect(captures.catchUp({ tables: ['theirs'], slot })).rejects.toMatchObject({
      cause: {
        type: 'InsufficientPrivilege',
        message: expect.stringContaining(
          `CREATE PUBLICATION "${slot}" FOR TABLE ONLY "public"."theirs" WITH (publish_via_partition_root = true)`,
        ),
      },
    });
    await superuser.query(
      `CREATE PUBLICATION ${slot} FOR TABLE theirs, t WITH (publish_via_partition_root = true)`,
    );
    const result = await captures.catchUp({ tables: ['theirs'], slot });
    expect(result.warnings).toEqual([
      expect.stringMatching(/also sends public.t, which "tables" does not name/),
    ]);
    // a publication that somebody else created is kept
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: false, bookkeeping: true });
    await superuser.query(
      `DROP PUBLICATION ${slot}; CREATE PUBLICATION ${slot} FOR TABLE theirs WITH (publish = 'insert')`,
    );
    await expect(captures.catchUp({ tables: ['theirs'], slot })).rejects.toMatchObject({
      cause: {
        type: 'PublicationConflict',
        message: expect.stringMatching(/does not publish update, delete, truncate/),
      },
    });
    await superuser.query(`DROP PUBLICATION ${slot}`);
    await superuser.end();
  });

  test('a role that is to change nothing is told the statement for the publication', async () => {
    const settings = connectionTo(`${lab.sourceUrl}?options=-c%20default_transaction_read_only%3Don`);
    const database = new Database({ label: 'source "default"', settings });
    const making = database.write({}, async (session) =>
      makePublication(session, 'unwritten', [{ schema: 'public', name: 't' }]),
    );
    await expect(making).rejects.toMatchObject({
      kind: 'InsufficientPrivilege',
      message: expect.stringMatching(/default_transaction_read_only.*run: CREATE PUBLICATION/) as string,
    });
    await database.close();
  });
});

// each has its own tables
describe.concurrent('a capture', () => {
  test(
    'names the constraint of the warehouse that a change does not fit, and goes on without it',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE limited (id int PRIMARY KEY)');
      const request = { tables: ['limited'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.warehouse.query('ALTER TABLE bronze.br_limited ADD CONSTRAINT few CHECK (id < 9)');
      await lab.source.query('INSERT INTO limited VALUES (8), (9)');
      await expect(captures.catchUp(request)).rejects.toMatchObject({
        cause: {
          type: 'SchemaConflict',
          message: expect.stringContaining('the constraint "few" of the bronze table') as string,
        },
      });
      await lab.warehouse.query('ALTER TABLE bronze.br_limited DROP CONSTRAINT few');
      await captures.catchUp(request);
      await expectSameRows(lab, 'limited', 'bronze.br_limited');
      await captures.drop({ slot: request.slot });
    },
  );

  test(
    'names the copy that does not take a value, and the foreign key for which it cannot be let go',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE narrowed (id int PRIMARY KEY, n int)');
      const request = { tables: ['narrowed'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.warehouse.query('ALTER TABLE bronze.br_narrowed ALTER n TYPE smallint');
      await lab.source.query('INSERT INTO narrowed VALUES (1, 100000)');
      await expect(captures.catchUp(request)).rejects.toMatchObject({
        cause: {
          type: 'InvalidValue',
          message: expect.stringMatching(/to bronze\.br_narrowed: .*\. Let the bronze table take/) as string,
        },
      });
      await lab.warehouse.query('ALTER TABLE bronze.br_narrowed ALTER n TYPE int');
      await captures.catchUp(request);
      await expectSameRows(lab, 'narrowed', 'bronze.br_narrowed');
      await lab.warehouse.query(`CREATE TABLE refers (id int); DO $$ BEGIN
        EXECUTE (SELECT format('ALTER TABLE refers ADD CONSTRAINT to_copy FOREIGN KEY (id) REFERENCES %s (id)', partdefid::regclass)
                   FROM pg_partitioned_table WHERE partrelid = 'bronze.br_narrowed'::regclass); END $$`);
      await expect(captures.drop({ slot: request.slot })).rejects.toMatchObject({
        cause: { type: 'SchemaConflict', message: expect.stringMatching(/constraint to_copy/) as string },
      });
      await lab.warehouse.query('DROP TABLE refers');
      const dropped = await captures.drop({ slot: request.slot });
      expect(dropped).toEqual({ slot: false, publication: false, bookkeeping: true });
    },
  );

  test(
    'a table without a key is logged by its whole rows, where the input lets that be set',
    { tags: 'long' },
    async () => {
      const slot = captures.slotName();
      const request = { tables: ['keyless'], slot, setReplicaIdentity: 'full' as const };
      await captures.catchUp(request);
      await lab.source.query(
        'INSERT INTO keyless VALUES (1), (1); UPDATE keyless SET a = 2; DELETE FROM keyless',
      );
      await captures.catchUp(request);
      expect((await captures.changes(slot)).map(({ operation, old }) => `${operation} ${old}`)).toEqual([
    'INSERT null', 'INSERT null', 'UPDATE {"a": 1}', 'UPDATE {"a": 1}', 'DELETE {"a": 2}', 'DELETE {"a": 2}',
  ]); // prettier-ignore
      await captures.drop({ slot });
    },
  );

  test(
    'partitions without an identity of their own get one, where the input lets that be set',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE cut (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
      CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM (0) TO (10); INSERT INTO cut VALUES (1, 1);
      ALTER TABLE cut_1 REPLICA IDENTITY NOTHING`);
      const slot = captures.slotName();
      await expect(captures.catchUp({ tables: ['cut'], slot })).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/Nothing identifies the rows of public.cut_1 /) },
      });
      const request = { tables: ['cut'], slot, mirror: true, setReplicaIdentity: 'full' as const };
      await captures.catchUp(request);
      await lab.source.query('UPDATE cut SET v = 2');
      await captures.catchUp(request);
      await expectSameRows(lab, 'cut', 'bronze.br_cut');
      await captures.drop({ slot });
    },
  );

  test(
    'tables that inherit from one that is captured are not: they go on being written to, and it says so',
    { tags: 'long' },
    async () => {
      await lab.source
        .query(`CREATE TABLE elder (id int PRIMARY KEY, v int); CREATE TABLE heir () INHERITS (elder);
      INSERT INTO elder VALUES (1, 1); INSERT INTO heir VALUES (1, 1), (2, 2)`);
      const request = { tables: ['elder'], slot: captures.slotName(), mirror: true };
      const { warnings } = await captures.catchUp(request);
      expect(warnings).toEqual([expect.stringMatching(/^The rows of public.heir are not captured/)]);
      await lab.source.query('UPDATE elder SET v = v + 10');
      await captures.catchUp(request);
      await expectSameRows(lab, 'elder', 'bronze.br_elder', { where: `tableoid = 'elder'::regclass` });
      await captures.drop({ slot: request.slot });
    },
  );

  test('a capture that runs is paused, goes on, says how far it is, and is dropped', async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await waitUntil(async () => {
      const { rows } = await lab.source.query<{ active: boolean }>(
        'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      );
      return rows[0]?.active === false;
    });
    await lab.source.query(`INSERT INTO t VALUES (3, 'three')`);
    await handle.signal('resume');
    await captures.untilStreaming(handle);
    // resumed before the attempt learns that it is to end
    await handle.signal('pause');
    await captures.status(handle);
    await handle.signal('resume');
    await waitUntil(async () => (await streamsOf(handle)) === 3);
    await captures.untilWritten(slot);
    await expectSameRows(lab, 't', 'bronze.br_t');
    await waitUntil(async () => (await captures.status(handle)).changes >= 1);
    expect(await captures.status(handle)).toMatchObject({
      phase: 'streaming',
      tables: ['public.t'],
      copiedRows: 2,
    });

    // nobody else may write a mirrored copy
    await expect(lab.extract({ table: 't' })).rejects.toMatchObject({
      cause: {
        type: 'TargetConflict',
        message: expect.stringContaining('or end the capture and run dropCapture for') as string,
      },
    });

    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(await slotsOf(slot)).toBe(1);
    await lab.source.query(`DROP PUBLICATION ${slot}`);
    await expect(captures.drop({ slot: slot.slice(0, -1) })).rejects.toMatchObject({
      cause: { type: 'UndefinedObject', message: expect.stringContaining(slot) },
    });
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: false, bookkeeping: true });
    expect(await captures.drop({ slot })).toEqual({ slot: false, publication: false, bookkeeping: false });
    expect(await slotsOf(`${slot}%`)).toBe(0);
  });

  test(
    'a table is not removed from a publication that sends its whole schema',
    { tags: 'long' },
    async () => {
      const slot = captures.slotName();
      await lab.source.query(`CREATE SCHEMA whole; CREATE TABLE whole.a (id int PRIMARY KEY)`);
      await administer(inject('sourceAdmin').replace(/\/[^/]*$/, `/source_${lab.name}`), [
        `CREATE PUBLICATION ${slot} FOR TABLES IN SCHEMA whole`,
      ]);
      const handle = await captures.start({ tables: ['whole.a'], slot, initialCopy: false });
      await captures.untilStreaming(handle);
      await expect(handle.executeUpdate('removeTables', { args: [['whole.a']] })).rejects.toMatchObject({
        cause: {
          type: 'PublicationConflict',
          message: expect.stringContaining('sends whole.a as one of all tables, or of all of its schema'),
        },
      });
      await captures.end(handle, slot);
    },
  );

  test('what a copy lacks is told: rows that a policy hides from the role', async () => {
    await lab.source.query(`CREATE TABLE hiding (id int PRIMARY KEY); INSERT INTO hiding VALUES (1), (2);
      ALTER TABLE hiding ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
      CREATE POLICY hides ON hiding USING (id > 1)`);
    const slot = captures.slotName();
    await expect(captures.catchUp({ tables: ['hiding'], slot })).resolves.toMatchObject({
      copiedRows: 1,
      warnings: [
        expect.stringMatching(/Row-level security is active on public.hiding for the role extractor/),
      ],
    });
    await captures.drop({ slot });
  });

  // not concurrent, since messages that other tests write to the database's WAL count as changes too
  test.sequential(
    'a capture that is to run for a while ends when it is over, and goes on another time',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE brief (id int PRIMARY KEY); INSERT INTO brief VALUES (1)');
      const request = { tables: ['brief'], slot: captures.slotName(), initialCopy: false };
      const handle = await captures.start({ ...request, until: '2 seconds' });
      await captures.untilStreaming(handle);
      await lab.source.query('UPDATE brief SET id = id');
      const first = await handle.result();
      expect(first.outcome).toBe('time is up');
      // it keeps the settings it was started with, and says so
      const other = { ...request, tables: ['brief', 't'], initialCopy: true, mirror: true };
      const { changes, warnings, tables } = await captures.catchUp(other);
      expect(first.changes + changes).toBe(1);
      expect(tables).toEqual(['public.brief']);
      expect(warnings).toEqual([
        expect.stringMatching(/^"tables" names public.t, which the capture does not include.* addTables/),
        expect.stringMatching(/^The capture was begun with "mirror" off, and continues that way/),
      ]);
      await captures.drop({ slot: request.slot });
    },
  );

  test('an idle database on a busy server does not hold back the log', { tags: 'long' }, async () => {
    const slot = captures.slotName();
    // no heartbeat contributes: the position moves because the server reports how far it has read
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false, heartbeat: '1 hour' });
    await captures.untilStreaming(handle);
    await administer(inject('sourceAdmin'), [
      `CREATE TABLE IF NOT EXISTS busy (v text)`,
      `INSERT INTO busy SELECT repeat(md5(i::text), 30) FROM generate_series(1, 20000) i`,
      `DROP TABLE busy`,
    ]);
    const { rows } = await lab.source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    await waitUntil(async () => {
      const moved = await lab.source.query(
        'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn',
        [slot, rows[0]?.lsn],
      );
      return moved.rowCount === 1;
    });
    const stored = await lab.warehouse.query(
      'SELECT FROM bronze.cdc_positions WHERE slot = $1 AND position >= $2::pg_lsn',
      [slot, rows[0]?.lsn],
    );
    expect(stored.rowCount).toBe(1);
    await captures.end(handle, slot);
  });
});
