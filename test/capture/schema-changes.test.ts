import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { untilWaitedFor } from '../setup/until-waited-for.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
});
afterAll(async () => lab.close());

// each has its own tables
describe.concurrent('what changes in the source while it is captured:', () => {
  test('a copy follows columns that are added, dropped, renamed and retyped while changes stream', async () => {
    await lab.source.query(`CREATE TYPE mood AS ENUM ('fine', 'so so'); CREATE DOMAIN price AS numeric;
    CREATE TABLE t (id int PRIMARY KEY, a text, b int, last text);
    INSERT INTO t SELECT i, 'a' || i, i, 'last' FROM generate_series(1, 50) i`);
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await lab.warehouse.query('CREATE VIEW by_hand AS SELECT id, a FROM bronze.br_t');
    const steps = [
      `ALTER TABLE t ADD COLUMN plain text; INSERT INTO t (id, plain) VALUES (101, 'x')`,
      `ALTER TABLE t ADD COLUMN filled int NOT NULL DEFAULT 7, ADD COLUMN area box DEFAULT '(1,1),(0,0)', ADD COLUMN areas box[] DEFAULT '{(1,1),(0,0);(3,3),(2,2)}'; INSERT INTO t (id) VALUES (102)`,
      `ALTER TABLE t ADD COLUMN many text[] DEFAULT '{a,"b c"}', ADD COLUMN m mood; ALTER TABLE t ADD COLUMN p price; INSERT INTO t (id, m, p) VALUES (103, 'so so', 1.50)`,
      // a column that takes the place of a dropped one is not a rename
      `ALTER TABLE t DROP COLUMN last; ALTER TABLE t ADD COLUMN later text; INSERT INTO t (id, later) VALUES (104, 'l')`,
      `ALTER TABLE t RENAME COLUMN a TO renamed; UPDATE t SET renamed = 'changed' WHERE id = 5`,
      // two renames with one change in between
      `ALTER TABLE t RENAME COLUMN renamed TO again; UPDATE t SET b = 0 WHERE id = 6; ALTER TABLE t RENAME COLUMN again TO finally; UPDATE t SET b = 1 WHERE id = 7`,
      `ALTER TABLE t ALTER COLUMN b TYPE bigint; INSERT INTO t (id, b) VALUES (105, 9007199254740993)`,
      `ALTER TABLE t RENAME COLUMN id TO number; UPDATE t SET number = -number WHERE number = 10; DELETE FROM t WHERE number = 11`,
      `ALTER TABLE t DROP COLUMN plain; INSERT INTO t (number) VALUES (106)`,
      `ALTER TABLE t ADD COLUMN plain int; INSERT INTO t (number, plain) VALUES (107, 1)`,
    ];
    for (const step of steps) {
      await lab.source.query(step);
      await captures.untilWritten(slot);
      await captures.untilCopied('t');
    }
    await captures.untilWritten(slot);
    await expectSameRows(lab, 't', 'bronze.br_t', { as: { m: 'm::text' } });
    expect((await lab.warehouse.query('SELECT id FROM by_hand')).rowCount).toBe(56);
    await captures.end(handle, slot);
  });

  test(
    'a column is added when nobody reads the copy, and meanwhile others can read it',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE busy (id int PRIMARY KEY); INSERT INTO busy VALUES (1)`);
      const slot = captures.slotName();
      const handle = await captures.start({ tables: ['busy'], slot, mirror: true });
      await captures.untilStreaming(handle);
      const [reader, another] = [await lab.connect('warehouse'), await lab.connect('warehouse')];
      await reader.query('BEGIN; SELECT FROM bronze.br_busy');
      await lab.source.query('ALTER TABLE busy ADD COLUMN v int DEFAULT 7; INSERT INTO busy VALUES (2)');
      await untilWaitedFor(lab.warehouse, 'bronze.br_busy');
      await another.query(`SET statement_timeout = '15s'; SELECT FROM bronze.br_busy`);
      await reader.query('COMMIT');
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'busy', 'bronze.br_busy');
      await captures.end(handle, slot);
    },
  );

  test(
    'a copy that has no room for a column is named, and made anew once it is dropped',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE full_copy (id int PRIMARY KEY); INSERT INTO full_copy VALUES (1)');
      const request = { tables: ['full_copy'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      const others = Array.from({ length: 1600 - 7 }, (_, index) => `ADD c${index} int`);
      await lab.warehouse.query(`ALTER TABLE bronze.br_full_copy ${others.join(', ')}`);
      await lab.source.query(
        'ALTER TABLE full_copy ADD late int DEFAULT 7; INSERT INTO full_copy VALUES (2)',
      );
      await expectFailure(
        captures.catchUp(request),
        'SchemaConflict',
        /bronze\.br_full_copy keeps columns.* at most 1600 columns/,
      );
      await lab.warehouse.query('DROP TABLE bronze.br_full_copy');
      await captures.catchUp(request);
      await captures.untilCopied('full_copy');
      await expectSameRows(lab, 'full_copy', 'bronze.br_full_copy');
      await captures.drop({ slot: request.slot });
    },
  );

  test('a column with a name of ours ends the capture, with the reason', { tags: 'long' }, async () => {
    await lab.source.query('CREATE TABLE ours (id int PRIMARY KEY)');
    const request = { tables: ['ours'], slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    await lab.source.query('ALTER TABLE ours ADD COLUMN _bronze_run_id text; INSERT INTO ours VALUES (1)');
    await expectFailure(
      captures.catchUp(request),
      'InvalidInput',
      'column "_bronze_run_id", which is the name of a metadata column',
    );
    await captures.drop({ slot: request.slot });
  });

  test(
    'a partition that identifies its rows otherwise than the table is not trusted until that is mended',
    { tags: 'long' },
    async () => {
      const make = (
        name: string,
      ) => `CREATE TABLE ${name} (id int, code int NOT NULL, day int NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE UNIQUE INDEX ${name}_code ON ${name} (code, day); ALTER TABLE ${name} REPLICA IDENTITY USING INDEX ${name}_code;
      CREATE TABLE ${name}_1 PARTITION OF ${name} FOR VALUES FROM (0) TO (10); ALTER TABLE ${name}_1 REPLICA IDENTITY USING INDEX ${name}_1_code_day_idx;
      INSERT INTO ${name} VALUES (1, 1, 1)`;
      const addTo = (
        name: string,
      ) => `CREATE TABLE ${name}_2 PARTITION OF ${name} FOR VALUES FROM (10) TO (20);
      INSERT INTO ${name} VALUES (2, 2, 12), (3, 3, 12)`;
      await lab.source.query(`${make('by_code')}; ${make('later')}`);
      const request = { tables: ['by_code', 'later'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      // while the stream reads about the first, its catalog has the partition already; that of the other has not
      await lab.source.query(`${addTo('by_code')}; UPDATE by_code SET code = 7 WHERE id = 3`);
      const { warnings } = await captures.catchUp(request);
      expect(warnings).toEqual([
        expect.stringMatching(
          /^public.by_code was copied again: partition public.by_code_2 identifies its rows by other columns/,
        ),
        expect.stringMatching(
          /^The copy of public.by_code failed, and is given up: .*public.by_code_2 identifies rows by other columns than public.by_code/,
        ),
      ]);
      await lab.source.query(`ALTER TABLE by_code_2 REPLICA IDENTITY USING INDEX by_code_2_code_day_idx;
      DELETE FROM by_code WHERE id = 2; UPDATE by_code SET code = 8 WHERE id = 3`);
      // an old row without the key of the table, that nothing in the catalog explains any more
      await lab.source.query(`${addTo('later')}; DELETE FROM later WHERE id = 2;
      ALTER TABLE later_2 REPLICA IDENTITY USING INDEX later_2_code_day_idx`);
      expect((await captures.catchUp(request)).warnings.at(-1)).toMatch(
        /^public.later was copied again: an old row came without its key/,
      );
      for (const table of request.tables) await expectSameRows(lab, table, `bronze.br_${table}`);
      // nor is one whose changes are never sent
      await lab.source.query(`CREATE UNLOGGED TABLE later_3 PARTITION OF later FOR VALUES FROM (20) TO (30);
      INSERT INTO later VALUES (4, 4, 25), (5, 5, 5)`);
      expect((await captures.catchUp(request)).warnings.slice(-2)).toEqual([
        expect.stringMatching(
          /^public.later was copied again: .*the changes of partition public.later_3 are not/,
        ),
        expect.stringMatching(/^The copy of public.later failed, .*public.later_3 has no changes/),
      ]);
      await captures.drop({ slot: request.slot });
    },
  );

  test('rows that a partition had when it was attached are copied, and other new partitions cost no copy', async () => {
    const tables = ['attached', 'nested', 'loaded', 'fresh'];
    for (const table of tables)
      await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
        CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES FROM (0) TO (100); INSERT INTO ${table} VALUES (1, 'one');
        CREATE TABLE ${table}_2 (LIKE ${table} INCLUDING ALL)`);
    const attach = (table: string, leaf = '2') =>
      `ALTER TABLE ${table} ATTACH PARTITION ${table}_${leaf} FOR VALUES FROM (100) TO (200)`;
    const rows = (table: string) => `INSERT INTO ${table} VALUES (101, 'a'), (102, 'b')`;
    const request = { tables, slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    for (const statement of [
      rows('attached_2'),
      attach('attached'),
      `UPDATE attached SET v = 'changed' WHERE id = 101`,
      // below a partition that is attached with it
      `CREATE TABLE nested_3 (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
       ALTER TABLE nested_3 ATTACH PARTITION nested_2 FOR VALUES FROM (100) TO (150)`,
      rows('nested_3'),
      `${attach('nested', '3')}; INSERT INTO nested VALUES (103, 'c')`,
      `BEGIN; ${rows('loaded_2')}; ${attach('loaded')}; INSERT INTO loaded VALUES (103, 'c'); COMMIT`,
      attach('fresh'),
      `${rows('fresh')}; UPDATE fresh SET v = 'changed' WHERE id = 101`,
      `BEGIN; CREATE TABLE fresh_3 PARTITION OF fresh FOR VALUES FROM (200) TO (300); INSERT INTO fresh VALUES (201, 'd'); COMMIT`,
    ])
      await lab.source.query(statement);
    const { warnings } = await captures.catchUp(request);
    for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
    const again = (table: string) =>
      expect.stringMatching(RegExp(`^public.${table} was copied again: partition public.${table}_2 was attached with rows`)); // prettier-ignore
    expect(warnings.toSorted()).toEqual(['attached', 'loaded', 'nested'].map(again));
    await captures.drop({ slot: request.slot });
  });
});
