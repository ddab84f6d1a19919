// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';
import { endStream, endWalsender, walsenderOf } from './walsender.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
});
afterAll(async () => own[Symbol.asyncDispose]());

test('a publication stays for as long as somebody else may read from it', async () => {
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

test('what a publication did not send for a while is noticed, and the copies that lack it are made again', async () => {
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
  await waitUntil(async () => (await walsenderOf(own, slot)) !== null);
  await lab.source.query(`ALTER PUBLICATION ${slot} DROP TABLE sent; INSERT INTO sent VALUES (3, 3);
    ALTER PUBLICATION ${slot} ADD TABLE sent`);
  await endWalsender(own, slot);
  const copied = `SELECT FROM bronze.br_sent WHERE id = 3`;
  await waitUntil(async () => (await lab.warehouse.query(copied)).rowCount === 1);
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await expectSameRows(lab, 'sent', 'bronze.br_sent');
  await lab.source.query(`ALTER PUBLICATION ${slot} SET (publish = 'insert'); UPDATE sent SET v = 3`);
  await expectFailure(
    captures.catchUp(request),
    'PublicationConflict',
    /sends no update, no delete, .* any more/,
  );
  await lab.source.query(`ALTER PUBLICATION ${slot} SET (publish = 'insert, update, delete, truncate')`);
  await captures.catchUp(request);
  await expectSameRows(lab, 'sent', 'bronze.br_sent');
  await captures.drop({ slot });
});

test('a row filter counts only while the publication does not send the whole schema, and the copy follows', async () => {
  await own.asAdmin('CREATE SCHEMA filtered AUTHORIZATION extractor');
  const slot = captures.slotName();
  await lab.source
    .query(`CREATE TABLE filtered.t (id int PRIMARY KEY); INSERT INTO filtered.t VALUES (1), (2);
    CREATE PUBLICATION ${slot} FOR TABLE filtered.t WHERE (id > 1)`);
  const request = { tables: ['filtered.t'], slot, mirror: true };
  await captures.catchUp(request);
  await own.asAdmin(`ALTER PUBLICATION ${slot} ADD TABLES IN SCHEMA filtered`);
  const handle = await captures.start(request);
  await captures.untilStreaming(handle);
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  await expectSameRows(lab, 'filtered.t', 'bronze.br_filtered__t');
  const removed = handle.executeUpdate('removeTables', { args: [['filtered.t']] });
  await expect(removed).rejects.toMatchObject({ cause: { type: 'PublicationConflict' } });
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await own.asAdmin(`ALTER PUBLICATION ${slot} DROP TABLES IN SCHEMA filtered`);
  await captures.catchUp(request);
  await expectSameRows(lab, 'filtered.t', 'bronze.br_filtered__t', { where: 'id > 1' });
  await captures.drop({ slot });
});

test('a table that a publication sends again is copied again, though its copy was given up meanwhile', async () => {
  await lab.source.query('CREATE TABLE away (id int PRIMARY KEY); INSERT INTO away VALUES (1)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['away'], slot, mirror: true });
  await captures.untilStreaming(handle);
  await waitUntil(async () => (await walsenderOf(own, slot)) !== null);
  await lab.source.query(`ALTER PUBLICATION ${slot} DROP TABLE away; DROP TABLE away`);
  await endStream(own, slot);
  await waitUntil(async () => (await captures.status(handle)).givenUp.length === 1);
  await lab.source.query(`CREATE TABLE away (id int PRIMARY KEY); INSERT INTO away VALUES (2);
      ALTER PUBLICATION ${slot} ADD TABLE away`);
  await waitUntil(async () => (await walsenderOf(own, slot)) !== null);
  await endStream(own, slot);
  const copied = `SELECT FROM bronze.br_away WHERE id = 2`;
  await waitUntil(async () => (await lab.warehouse.query(copied)).rowCount === 1);
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  expect(await captures.status(handle)).toMatchObject({ givenUp: [] });
  await lab.source.query('INSERT INTO away VALUES (3)');
  await captures.untilWritten(slot);
  await expectSameRows(lab, 'away', 'bronze.br_away');
  await captures.end(handle, slot);
});
