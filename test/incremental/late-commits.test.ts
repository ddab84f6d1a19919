import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { withDatabase } from '../setup/lab.ts';
import { Lab } from '../setup/lab.ts';
import { extractIncrement } from '../setup/incremental.ts';
import { type Clock, expectLateRows } from './late-rows.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** Clocks behind and ahead of the server's; the long suite has one that is neither. */
const clocks: readonly Clock[] = [
  { type: 'timestamptz', value: 'now()' },
  { type: 'timestamp', value: `now() AT TIME ZONE 'America/Los_Angeles'` },
  { type: 'timestamp', value: `now() AT TIME ZONE 'Pacific/Auckland'` },
];

testVariants(clocks.map((clock, index) => ({ ...clock, name: `late_${index}` })))(
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

test('the checkpoint of dates stays behind a transaction for as many days as that is open', async () => {
  await lab.source.query(`CREATE TABLE long_days AS SELECT date '2024-03-10' AS day`);
  await using run = new Steps(lab);
  const plan = await run.plan({ table: 'long_days', key: ['day'], incremental: { column: 'day' } });
  // as with one that began then
  await lab.warehouse.query(
    `UPDATE bronze.extraction_plans SET plan = jsonb_set(plan, '{incremental,limit,startedAt}',
        to_jsonb(((plan #>> '{incremental,limit,seenAt}')::timestamptz - interval '3 days')::text)) WHERE plan_id = $1`,
    [plan.planId],
  );
  await run.copy(plan, 0);
  expect(await run.commit(plan)).toMatchObject({ incremental: { checkpoint: '2024-03-06' } });
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

test('a number that is taken before its transaction writes is covered by the lookback only, and the run says so', async () => {
  const request: ExtractTableRequest = { table: 'ev', incremental: { column: 'ms', lookback: 60_000 } };
  await lab.source.query(`CREATE TABLE ev (id int PRIMARY KEY,
      ms bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint); CREATE INDEX ON ev (ms)`);
  const late = await lab.connect('source');
  await late.query('BEGIN; SELECT 1, pg_sleep(0.01)');
  await lab.source.query('INSERT INTO ev VALUES (2)');
  const first = await extractIncrement(lab, request);
  expect(first.incremental.protection).toBe('lookback');
  expect(first.warnings).toEqual([
    expect.stringMatching(
      /take a value of "ms" before it writes to public\.ev: .*covered by the lookback only/,
    ),
  ]);
  await late.query('INSERT INTO ev VALUES (1); COMMIT');
  expect((await extractIncrement(lab, request)).incremental).toMatchObject({ added: 1, unchanged: 1 });
  await expectSameRows(lab, 'ev', 'bronze.br_ev');
});

/** Column types whose values increase from the moment a row is inserted, and others. */
const counting: Readonly<Record<string, readonly string[]>> = {
  'oldest transaction': [
    'bigint GENERATED ALWAYS AS IDENTITY',
    'smallserial',
    `numeric DEFAULT nextval('"it''s"')`,
  ],
  lookback: [
    'bigint',
    'uuid',
    `text DEFAULT nextval('"it''s"')`,
    `bigint DEFAULT nextval('"it''s"') % 10`,
    'int GENERATED BY DEFAULT AS IDENTITY (CACHE 10)',
    'int GENERATED BY DEFAULT AS IDENTITY (CYCLE)',
    'int GENERATED BY DEFAULT AS IDENTITY (INCREMENT -1)',
    'int GENERATED ALWAYS AS (abs(v)) STORED',
  ],
};

test(
  'only a column that takes the values of a sequence as rows are inserted is protected by what writers lock',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE SEQUENCE "it's"`);
    const columns = Object.entries(counting).flatMap(([protection, types]) =>
      types.map((type) => ({ type, protection })),
    );
    for (const [index, { type }] of columns.entries()) {
      const table = `counting_${index}`;
      await lab.source.query(`CREATE TABLE ${table} (v int, c ${type}); CREATE INDEX ON ${table} (c)`);
    }
    const results = await Promise.all(
      columns.map(async (_column, index) =>
        extractIncrement(lab, { table: `counting_${index}`, key: ['v'], incremental: { column: 'c' } }),
      ),
    );
    const found = results.map(({ incremental }, index) => ({
      type: columns[index]?.type,
      protection: incremental.protection,
    }));
    expect(found).toEqual(columns);
    for (const { incremental, warnings } of results) {
      expect(warnings.join()).toMatch(
        incremental.protection === 'lookback'
          ? /a smaller value are missed\. (Set "incremental\.lookback"|A (text|uuid) has no lookback)/
          : /^There is no checkpoint yet/,
      );
    }
  },
);

test('the partitions of a table share its sequence, or it protects from nothing', async () => {
  const request: ExtractTableRequest = { table: 'parted', key: ['c'], incremental: { column: 'c' } };
  await lab.source
    .query(`CREATE TABLE parted (c bigserial, v int) PARTITION BY LIST (v); CREATE INDEX ON parted (c);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); INSERT INTO parted (v) VALUES (1)`);
  expect((await extractIncrement(lab, request)).incremental.protection).toBe('oldest transaction');
  await lab.source.query(`CREATE TABLE parted_2 (c bigserial, v int);
    ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2); INSERT INTO parted_2 (v) VALUES (2)`);
  expect((await extractIncrement(lab, request)).incremental.protection).toBe('lookback');
});

test(
  'a first checkpoint that is taken while others write for long is covered by the lookback only, and the run says so',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE TABLE busy (id bigserial PRIMARY KEY); INSERT INTO busy DEFAULT VALUES`);
    const writer = await lab.connect('source');
    await writer.query('BEGIN; INSERT INTO busy DEFAULT VALUES');
    const first = await extractIncrement(lab, { table: 'busy', incremental: { column: 'id' } });
    expect(first.incremental).toMatchObject({ protection: 'lookback', checkpoint: '1' });
    expect(first.warnings).toEqual([
      expect.stringMatching(
        /Other transactions were writing to public\.busy .*smaller value are missed\. Set/,
      ),
    ]);
    await writer.query('ROLLBACK');
  },
);

test('a view is protected where only tables of this server are beneath it', async () => {
  await lab.source.query(`CREATE TABLE watched (id int PRIMARY KEY, at timestamptz);
    INSERT INTO watched VALUES (1, now() - interval '1 hour');
    CREATE MATERIALIZED VIEW stale AS SELECT * FROM watched;
    CREATE VIEW fresh AS SELECT * FROM watched; CREATE VIEW through AS SELECT * FROM stale UNION ALL SELECT * FROM fresh;
    CREATE VIEW twice AS SELECT * FROM through`);
  const protectionOf = async (table: string) =>
    (await extractIncrement(lab, { table, incremental: { column: 'at' } })).incremental.protection;
  expect(await protectionOf('fresh')).toBe('oldest transaction');
  expect(await protectionOf('twice')).toBe('lookback');
});

test(
  'rows that a subscription brings late are covered by the lookback only, and the run says so',
  { tags: 'long' },
  async () => {
    await using publisher = await Lab.open({ workers: 'none' });
    const slot = `fed_${lab.name}`;
    await publisher.source
      .query(`CREATE TABLE fed (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
    CREATE PUBLICATION fed FOR TABLE fed`);
    await publisher.source.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await lab.source.query(`CREATE TABLE fed (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id);
    CREATE TABLE fed_1 PARTITION OF fed FOR VALUES FROM (1) TO (9)`);
    const url = withDatabase(inject('sourceAdmin'), `source_${publisher.name}`);
    await lab.source.query(
      `CREATE SUBSCRIPTION ${slot} CONNECTION '${url}' PUBLICATION fed WITH (create_slot = false, copy_data = false)`,
    );
    try {
      const arrived = async (id: number) =>
        waitUntil(async () => (await lab.source.query(`SELECT FROM fed WHERE id = ${id}`)).rowCount === 1);
      const late = await publisher.connect('source');
      await late.query('BEGIN; INSERT INTO fed VALUES (1)');
      await publisher.source.query('INSERT INTO fed VALUES (2)');
      await arrived(2);
      const request: ExtractTableRequest = { table: 'fed_1', incremental: { column: 'at' } };
      const first = await extractIncrement(lab, request);
      expect(first.incremental.protection).toBe('lookback');
      expect(first.warnings).toEqual([
        expect.stringMatching(/public\.fed_1 is fed by a subscription.*default lookback of an hour only/),
      ]);
      await late.query('COMMIT');
      await arrived(1);
      expect((await extractIncrement(lab, request)).incremental.added).toBe(1);
      await expectSameRows(lab, 'fed', 'bronze.br_fed_1');
    } finally {
      await lab.source.query(`DROP SUBSCRIPTION ${slot}`);
    }
  },
);

test('a value in the future does not end all progress', { tags: 'long' }, async () => {
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

test(
  'a role that may not see the transactions of others is told so, and covered by the lookback',
  { tags: 'long' },
  async () => {
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
  },
);

test('a session that does not show when its transaction began holds no checkpoint, and the run says so', async () => {
  const request: ExtractTableRequest = { table: 'untracked', incremental: { column: 'at' } };
  await lab.source.query(`CREATE TABLE untracked (id int PRIMARY KEY, at timestamptz DEFAULT now());
    INSERT INTO untracked VALUES (1, now() - interval '1 hour')`);
  const late = await lab.connect('source');
  await late.query('SET track_activities = off');
  expect((await extractIncrement(lab, request)).incremental.protection).toBe('oldest transaction');
  await late.query('BEGIN; INSERT INTO untracked VALUES (2)');
  await lab.source.query('INSERT INTO untracked VALUES (3)');
  const { incremental, warnings } = await extractIncrement(lab, request);
  expect(incremental).toMatchObject({ added: 1, protection: 'lookback' });
  expect(warnings).toEqual([
    expect.stringMatching(
      /without track_activities.*default lookback of an hour only.*track_activities = on/,
    ),
  ]);
  await late.query('COMMIT');
  expect((await extractIncrement(lab, request)).incremental).toMatchObject({
    added: 1,
    protection: 'oldest transaction',
  });
  await late.end();
  await expectSameRows(lab, 'untracked', 'bronze.br_untracked');
});
