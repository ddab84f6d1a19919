import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { withDatabase } from '../setup/lab.ts';
import { Lab } from '../setup/lab.ts';
import { extractIncrement } from '../setup/incremental.ts';
import { type Clock, expectLateRows } from './late-rows.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** Such as are behind and ahead of the clock of the server; the one that is neither is in the long suite. */
const clocks: readonly Clock[] = [
  { type: 'timestamptz', value: 'now()' },
  { type: 'timestamp', value: `now() AT TIME ZONE 'America/Los_Angeles'` },
  { type: 'timestamp', value: `now() AT TIME ZONE 'Pacific/Auckland'` },
];

test.each(clocks.map((clock, index) => ({ ...clock, name: `late_${index}` })))(
  'a row of $type that is set by $value and committed after the run that began later is in bronze after the next',
  async ({ name, ...clock }) => {
    await expectLateRows(lab, name, clock);
  },
);

test('a date that is committed after midnight is in bronze after the next run', async () => {
  const request: ExtractTableRequest = { table: 'days', incremental: { column: 'day', lookback: 0 } };
  await lab.source.query(
    `CREATE TABLE days (id int PRIMARY KEY, day date); INSERT INTO days VALUES (1, current_date)`,
  );
  const first = await extractIncrement(lab, request);
  expect(first.incremental.protection).toBe('oldest transaction');
  await lab.source.query(`INSERT INTO days VALUES (2, current_date - 1), (3, current_date)`);
  expect((await extractIncrement(lab, request)).incremental.added).toBe(2);
  await expectSameRows(lab, 'days', 'bronze.br_days');
});

test('an id that was taken first and committed last is in bronze after the next run', async () => {
  const request: ExtractTableRequest = { table: 'ids', incremental: { column: 'id' } };
  await lab.source.query(
    `CREATE TABLE ids (id bigserial PRIMARY KEY, name text); INSERT INTO ids (name) SELECT 'old' FROM generate_series(1, 10)`,
  );
  await extractIncrement(lab, request);
  const late = await lab.connect('source');
  await late.query(`BEGIN; INSERT INTO ids (name) VALUES ('late')`);
  await lab.source.query(`INSERT INTO ids (name) VALUES ('early')`);
  const held = await extractIncrement(lab, request);
  expect(held.incremental).toMatchObject({ added: 1, checkpoint: '10', protection: 'oldest transaction' });
  await late.query('COMMIT');
  expect((await extractIncrement(lab, request)).incremental).toMatchObject({
    added: 1,
    unchanged: 2,
    checkpoint: '12',
  });
  await expectSameRows(lab, 'ids', 'bronze.br_ids');
});

test('a value in the future does not end all progress', async () => {
  for (const type of ['timestamptz', 'timestamp', 'date']) {
    const table = `future_${type}`;
    const request: ExtractTableRequest = { table, incremental: { column: 'at' } };
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, at ${type});
      INSERT INTO ${table} VALUES (1, '2999-01-01'), (2, now() - interval '1 minute')`);
    await extractIncrement(lab, request);
    await lab.source.query(`INSERT INTO ${table} VALUES (3, now())`);
    expect((await extractIncrement(lab, request)).incremental).toMatchObject({ added: 1 });
    await expectSameRows(lab, table, `bronze.br_${table}`);
  }
});

test('a role that may not see the transactions of others is told so, and covered by the lookback', async () => {
  await lab.source
    .query(`CREATE ROLE blind_${lab.name} LOGIN PASSWORD 'blind'; GRANT pg_read_all_data TO blind_${lab.name};
    CREATE TABLE unseen (id int PRIMARY KEY, at timestamptz);
    INSERT INTO unseen SELECT i, now() - i * interval '1 hour' FROM generate_series(1, 50) i`);
  const url = new URL(withDatabase(lab.sourceUrl, `source_${lab.name}`));
  [url.username, url.password] = [`blind_${lab.name}`, 'blind'];
  await using blind = await Lab.open({ workers: 'none' });
  await blind.startWorkers({ source: url.href });
  const request: ExtractTableRequest = { table: 'unseen', incremental: { column: 'at' } };
  const late = await lab.connect('source');
  await late.query(`BEGIN; INSERT INTO unseen VALUES (1001, now())`);
  await lab.source.query(`INSERT INTO unseen VALUES (1002, now())`);
  const first = await extractIncrement(blind, request);
  expect(first.incremental.protection).toBe('lookback');
  expect(first.warnings.join()).toMatch(/could not be seen.*lookback.*pg_read_all_stats/);
  await late.query('COMMIT');
  expect((await extractIncrement(blind, request)).incremental.added).toBe(1);
  await expectSameRows({ source: lab.source, warehouse: blind.warehouse }, 'unseen', 'bronze.br_unseen');
  await lab.source.query(`DROP TABLE unseen; DROP OWNED BY blind_${lab.name}`);
});
