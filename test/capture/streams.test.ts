import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { streamChanges } from '../../src/capture/stream-changes.ts';
import { captureChangesExample, captureChangesInput } from '../../src/contract/capture-changes.ts';
import type { StreamRequest } from '../../src/contract/capture-activities.ts';
import { parseInput } from '../../src/contract/parse-input.ts';
import { Database, type TransactionOptions } from '../../src/postgres/database.ts';
import type { Session } from '../../src/postgres/session.ts';
import type { CaptureLab } from '../setup/capture-lab.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { withResolvers } from '../setup/with-resolvers.ts';
import { CapturedTable } from './captured-table.ts';

/** Counts its transactions that only read. */
class CountedDatabase extends Database {
  reads = 0;

  override async read<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    this.reads += 1;
    return super.read(options, work);
  }
}

/** A warehouse client that falls asleep before the transaction that would write changes. */
class SleepingDatabase extends Database {
  readonly #asleep = withResolvers();
  readonly #awake = withResolvers();
  #transactions = 0;

  async asleep(): Promise<void> {
    await this.#asleep.promise;
  }

  wake(): void {
    this.#awake.resolve();
  }

  override async write<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    this.#transactions += 1;
    // earlier transactions end stray sessions and read the position
    if (this.#transactions > 2) {
      this.#asleep.resolve();
      await this.#awake.promise;
    }
    return super.write(options, work);
  }
}

let lab: Lab;
let table: CapturedTable;
let captures: CaptureLab;
let source: CountedDatabase;
let warehouse: Database;
beforeAll(async () => {
  lab = await Lab.open();
  table = await CapturedTable.of(lab);
  ({ captures } = table);
  source = new CountedDatabase({ label: 'source', settings: connectionTo(lab.sourceUrl) });
  warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
});
afterAll(async () => {
  await Promise.all([source, warehouse].map(async (database) => database.close()));
  await lab.close();
});

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
    untilPosition: await table.endOfLog(),
    runId: randomUUID(),
    workflowId: 'none',
  };
}

/** Streams once, without a workflow. */
async function stream(request: StreamRequest, into = warehouse): ReturnType<typeof streamChanges> {
  const { signal } = new AbortController();
  return streamChanges(request, { source, warehouse: into, signal, onProgress: () => undefined });
}

/** Streams what the source has committed, and returns how often it was asked meanwhile. */
async function questionsOf(slot: string): Promise<number> {
  const before = source.reads;
  await stream(await requestFor(slot));
  return source.reads - before;
}

test(
  'a stream that slept while another wrote has acknowledged nothing, and writes nothing more',
  { tags: 'long' },
  async () => {
    const slot = await table.captured();
    const before = await captures.changes(slot);
    await table.insert();
    const request = await requestFor(slot);
    const sleeper = new SleepingDatabase({ label: 'warehouse', settings: lab.configuration().warehouse });
    const slept = stream(request, sleeper);
    await sleeper.asleep();
    await stream(request);
    const written = await captures.changes(slot);
    // and nothing was acknowledged that was read but not written
    expect(written).toHaveLength(before.length + 1);
    sleeper.wake();
    await expect(slept).rejects.toMatchObject({ kind: 'SerializationFailure' });
    expect(await captures.changes(slot)).toEqual(written);
    await sleeper.close();
    await captures.drop({ slot });
  },
);

test(
  'a copy that a lost attempt wanted is still wanted at the end of the next',
  { tags: 'long' },
  async () => {
    const slot = await table.captured();
    // only what the attempt has committed is left of it
    await lab.warehouse.query(
      `UPDATE bronze.cdc_tables SET status = 'copying', copied_at = NULL
      WHERE capture_id = (SELECT capture_id FROM bronze.cdc_positions WHERE slot = $1)`,
      [slot],
    );
    await table.insert();
    await expect(stream(await requestFor(slot))).resolves.toMatchObject({
      reason: 'caught up',
      copyWanted: [{ schema: 'public', name: 't' }],
    });
    await captures.drop({ slot });
  },
);

test('the catalog is asked once for the partitions that change in a segment, however many they are', async () => {
  await lab.source.query(`CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    DO $$ BEGIN FOR n IN 1..60 LOOP
      EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', n, n, n + 1);
    END LOOP; END $$`);
  const slot = captures.slotName();
  await table.catchUp(slot, { tables: ['parts'] });
  await lab.source.query(`INSERT INTO parts SELECT n, 'new' FROM generate_series(1, 60) AS n;
    UPDATE parts SET v = 'changed' WHERE id % 2 = 0`);
  expect(await questionsOf(slot)).toBeLessThan(20);
  await expectSameRows(lab, 'parts', 'bronze.br_parts');
  await captures.drop({ slot });
});

test(
  'a transaction in hundreds of tables that only the publication has costs one question and one statement, and keeps no table out',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    await table.catchUp(slot);
    await lab.source.query(`CREATE SCHEMA crowd; DO $$ BEGIN
      FOR n IN 1..501 LOOP EXECUTE format('CREATE TABLE crowd.t%s (id int PRIMARY KEY)', n); END LOOP; END $$`);
    await table.asAdmin(`ALTER PUBLICATION ${slot} ADD TABLES IN SCHEMA crowd`);
    await lab.source.query(`DO $$ BEGIN
      FOR n IN 1..501 LOOP EXECUTE format('INSERT INTO crowd.t%s VALUES (1)', n); END LOOP; END $$`);
    await lab.warehouse
      .query(`CREATE SEQUENCE statements; GRANT ALL ON SEQUENCE statements TO PUBLIC; CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM nextval('public.statements'); RETURN NULL; END $$;
      CREATE TRIGGER counted AFTER INSERT ON bronze.cdc_tables EXECUTE FUNCTION counted()`);
    expect(await questionsOf(slot)).toBeLessThan(20);
    expect(await captures.changes(slot)).toHaveLength(501);
    const { rows: recorded } = await lab.warehouse.query('SELECT last_value::int FROM statements');
    expect(recorded).toEqual([{ last_value: 1 }]);
    await lab.warehouse.query('DROP FUNCTION counted CASCADE');
    await lab.source.query('CREATE TABLE beside_a_crowd (id int PRIMARY KEY)');
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    const tables = await handle.executeUpdate('addTables', { args: [['beside_a_crowd']] });
    expect(tables).toHaveLength(503);
    await captures.end(handle, slot);
    await table.asAdmin('DROP SCHEMA crowd CASCADE');
  },
);
