import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FailureKind } from '../../src/contract/failures.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { createForeignServer } from '../setup/foreign-server.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE facts AS
    SELECT i AS id, (i % 30000)::smallint AS small, (i::bigint - 500) * 18000000000000000 AS big, gen_random_uuid() AS uuid,
           date '2024-01-01' + i % 400 AS date, timestamp '2024-01-01' + i * interval '1 hour' AS stamp,
           timestamptz '2024-01-01Z' - i * interval '1 hour' AS zoned,
           CASE i % 5 WHEN 0 THEN 'ä' WHEN 1 THEN 'Z' WHEN 2 THEN '' ELSE 'key ' END || md5(i::text) || repeat('x', i % 90) AS text,
           repeat('filler', 20) AS filler
      FROM generate_series(1, 1000) i;
    INSERT INTO facts (filler) SELECT 'keys are null' FROM generate_series(1, 7);
    INSERT INTO facts (id, small, big, uuid, date, stamp, zoned, text) VALUES
      (-2147483648, -32768, -9223372036854775808, '00000000-0000-0000-0000-000000000000', '-infinity', '-infinity', '4713-01-01 BC', E'\\x01'),
      (2147483647, 32767, 9223372036854775807, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'infinity', '294276-12-31', 'infinity', U&'\\+10FFFF'),
      (0, 0, 0, '00000000-0000-0000-0000-000000000001', '5874897-12-31', '0001-01-01 BC', '0001-01-01Z', '');
    CREATE VIEW facts_view AS SELECT * FROM facts`);
});
afterAll(async () => lab.close());

async function expectCutBy(chunkBy: string): Promise<void> {
  const { chunks } = await lab.extract({
    table: 'facts_view',
    chunkBy,
    chunkSize: '16kB',
    verify: 'checksum',
  });
  expect(chunks).toBeGreaterThan(8);
  await expectSameRows(lab, 'facts_view', 'bronze.br_facts_view');
  const { rows } = await lab.warehouse.query<{ filled: number }>(
    `SELECT count(*)::int AS filled FROM bronze.extraction_chunks c
       JOIN bronze.extraction_targets t ON t.loaded_by_plan = c.plan_id WHERE t.target = 'br_facts_view' AND c.rows > 0`,
  );
  // extreme keys spread ranges of numbers and times wide; for texts, a sample shows where they are
  expect(rows[0]?.filled).toBeGreaterThan(chunkBy === 'text' ? 8 : 1);
}
testVariants(['id', 'uuid', 'date', 'zoned', 'text', 'small', 'big', 'stamp'])(
  'a view is cut into ranges of %s',
  expectCutBy,
);

test('rows that come after the plan, below, above and with NULL, are not lost', async () => {
  await lab.source.query(`CREATE TABLE growing (id int); INSERT INTO growing SELECT generate_series(100, 200);
    CREATE VIEW growing_view AS SELECT * FROM growing`);
  await using steps = new Steps(lab);
  const plan = await steps.plan({ table: 'growing_view', chunkBy: 'id', parallelism: 4 });
  await lab.source.query('INSERT INTO growing VALUES (1), (150), (900), (NULL)');
  await steps.copy(plan, 0, plan.chunks);
  await steps.commit(plan);
  await expectSameRows(lab, 'growing_view', 'bronze.br_growing_view');
});

test.each([
  ['is replaced', 'CREATE OR REPLACE VIEW seen AS SELECT id + 1000 AS id FROM seen_below'],
  [
    'reads another that is replaced',
    'CREATE OR REPLACE VIEW seen_below AS SELECT id + 1000 AS id FROM seen_table',
  ],
  ['reads a table that is emptied', 'TRUNCATE seen_table'],
])('a view that %s between two chunks makes the run begin again', async (_, change) => {
  await lab.source
    .query(`DROP TABLE IF EXISTS seen_table CASCADE; CREATE TABLE seen_table AS SELECT i AS id FROM generate_series(1, 9) i;
    CREATE VIEW seen_below AS TABLE seen_table; CREATE VIEW seen AS TABLE seen_below`);
  await using steps = new Steps(lab);
  const plan = await steps.plan({ table: 'seen', chunkBy: 'id', parallelism: 4 });
  await steps.copy(plan, 0);
  await lab.source.query('VACUUM seen_table');
  await steps.copy(plan, 1);
  await lab.source.query(change);
  await expect(steps.copy(plan, 2)).rejects.toMatchObject({ type: 'PlanOutdated' });
  await steps.discard();
});

test('an empty view and one with a single key', async () => {
  await lab.source.query(`CREATE VIEW nobody AS SELECT * FROM facts WHERE false; CREATE VIEW one_key AS SELECT 5 AS id FROM facts`);
  for (const [table, chunkBy] of [['nobody', 'text'], ['nobody', 'uuid'], ['one_key', 'id']] as const) {
    await lab.extract({ table, chunkBy, verify: 'checksum' });
    await expectSameRows(lab, table, `bronze.br_${table}`);
  }
}); // prettier-ignore

test(
  'a foreign table is cut too, and the result says that its chunks are of different moments',
  { tags: 'long' },
  async () => {
    await createForeignServer(lab);
    await lab.source.query(
      `CREATE FOREIGN TABLE facts_far (id int NOT NULL, text text, uuid uuid) SERVER here OPTIONS (table_name 'facts')`,
    );
    const { warnings, chunks } = await lab.extract({
      table: 'facts_far',
      chunkBy: 'id',
      parallelism: 8,
      verify: 'checksum',
    });
    expect(chunks).toBe(9);
    expect(warnings).toEqual([
      expect.stringContaining('The chunks of public.facts_far were read at different moments'),
    ]);
    // NOT NULL on a foreign table is an unchecked promise: rows with a NULL key are still copied
    await expectSameRows(lab, 'facts_far', 'bronze.br_facts_far');
  },
);

test('an ordinary table needs no key', async () => {
  const { warnings } = await lab.extract({ table: 'facts', chunkBy: 'id' });
  expect(warnings).toEqual([expect.stringContaining('"chunkBy" was not used')]);
});

test.each<[string, FailureKind, string]>([
  ['nothing', 'UndefinedObject', 'public.facts_odd has no column "nothing" to chunk by'],
  ['score', 'InvalidInput', '"chunkBy" names "score", which is double precision: expected smallint, integer'],
  ['amount', 'InvalidInput', '"chunkBy" names "amount", which is numeric'],
])('%s is no key', async (chunkBy, type, message) => {
  await lab.source.query(
    'CREATE OR REPLACE VIEW facts_odd AS SELECT id, 1.5::float8 AS score, 1.5 AS amount FROM facts',
  );
  await expectFailure(lab.extract({ table: 'facts_odd', chunkBy }), type, message);
});
