import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { Database } from '../../src/postgres/database.ts';
import { makePublication } from '../../src/postgres/replication/publications.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';

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
    await expectFailure(refused, type, text);
    expect(await captures.slots('%')).toBe(0);
    expect((await lab.source.query('SELECT FROM pg_publication')).rowCount).toBe(0);
  });

  test('a role that may not, with the statement that somebody who may has to run', async () => {
    const superuser = await lab.connect('source');
    await superuser.query(`CREATE TABLE theirs (id int PRIMARY KEY)`);
    const slot = captures.slotName();
    await expectFailure(
      captures.catchUp({ tables: ['theirs'], slot }),
      'InsufficientPrivilege',
      `CREATE PUBLICATION "${slot}" FOR TABLE ONLY "public"."theirs" WITH (publish_via_partition_root = true)`,
    );
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
    await expectFailure(
      captures.catchUp({ tables: ['theirs'], slot }),
      'PublicationConflict',
      /does not publish update, delete, truncate/,
    );
    await superuser.query(`DROP PUBLICATION ${slot}`);
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
