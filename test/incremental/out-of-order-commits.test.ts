import { afterAll, beforeAll, expect, test } from 'vitest';
import { extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { expectNothingLost } from './many-runs.ts';
import { OutOfOrderWriter } from './out-of-order-writer.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('runs under writers that commit out of order lose nothing and double nothing, in append and in merge', async () => {
  await expectNothingLost(lab, 15);
});

test('ids that are taken in one order and committed in another are all there, each once, without a lookback', async () => {
  await lab.source.query(`CREATE TABLE events (id bigserial PRIMARY KEY, what text)`);
  const writer = await OutOfOrderWriter.start(lab, {
    sessions: 6,
    longestPause: 300,
    work: async (session) => void (await session.query(`INSERT INTO events (what) VALUES ('one'), ('two')`)),
  });
  for (let round = 1; round <= 15; round += 1)
    await extractIncrement(lab, { table: 'events', incremental: { column: 'id' } });
  expect(await writer.stop()).toBeGreaterThan(30);
  await extractIncrement(lab, { table: 'events', incremental: { column: 'id' } });
  await expectSameRows(lab, 'events', 'bronze.br_events');
});
