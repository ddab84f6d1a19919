import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isCopyWanted } from '../../src/capture/copy-tables.ts';
import { Database } from '../../src/postgres/database.ts';
import { CaptureLab, type CaptureHandle } from '../setup/capture-lab.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { untilWaitedFor } from '../setup/until-waited-for.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
});
afterAll(async () => lab.close());

/** Returns the tables that were copied again because of a column. */
const copiedAgain = (warnings: readonly string[]): (string | undefined)[] =>
  warnings
    .filter((warning) => warning.includes(' was copied again: '))
    .map((warning) => /^public\.(\w+) was copied again: column/.exec(warning)?.[1]);

/** Waits for the end of a copy, of whose start the workflow learns a moment later. */
async function untilCopied(table: string): Promise<void> {
  const copying = `SELECT FROM bronze.cdc_tables WHERE "table" = $1 AND status = 'copying'`;
  await waitUntil(async () => (await lab.warehouse.query(copying, [table])).rowCount === 0);
}

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
      await untilCopied('t');
    }
    await captures.untilWritten(slot);
    await expectSameRows(lab, 't', 'bronze.br_t', { as: { m: 'm::text' } });
    expect((await lab.warehouse.query('SELECT id FROM by_hand')).rowCount).toBe(56);
    await captures.end(handle, slot);
  });

  test(
    'a table is copied again where its log does not say what became of the rows from before',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE again (id int PRIMARY KEY, at text, n int);
    INSERT INTO again SELECT i, '2024-01-01', i FROM generate_series(1, 500) i`);
      const slot = captures.slotName();
      const handle = await captures.start({ tables: ['again'], slot, mirror: true });
      await captures.untilStreaming(handle);
      await lab.source.query(
        `ALTER TABLE again ADD COLUMN r float8 DEFAULT random(); UPDATE again SET n = -n WHERE id < 10`,
      );
      await lab.source
        .query(`ALTER TABLE again ALTER COLUMN at TYPE timestamptz USING at::timestamptz + interval '1 day';
    DELETE FROM again WHERE id % 10 = 0`);
      await lab.source.query(
        `ALTER TABLE again ADD COLUMN c int DEFAULT 5; ALTER TABLE again ALTER COLUMN n TYPE text; INSERT INTO again (id) VALUES (1000)`,
      );
      await captures.untilWritten(slot);
      await untilCopied('again');
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'again', 'bronze.br_again');
      expect((await captures.status(handle)).warnings[0]).toMatch(
        /^public.again was copied again: .*column "r" was added/,
      );
      await captures.end(handle, slot);
    },
  );

  test(
    'an added column is not taken for another that got its name before the stream came to it',
    { tags: 'long' },
    async () => {
      const tables = ['dropped_since', 'renamed_since', 'exchanged_since'];
      for (const table of tables)
        await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY); INSERT INTO ${table} VALUES (1)`);
      const request = { tables, slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      for (const step of [
        `ALTER TABLE dropped_since ADD c int DEFAULT 1; INSERT INTO dropped_since VALUES (2)`,
        `ALTER TABLE dropped_since DROP c, ADD c int DEFAULT 2; INSERT INTO dropped_since VALUES (3)`,
        `ALTER TABLE renamed_since ADD c int DEFAULT 1; INSERT INTO renamed_since VALUES (2, 20)`,
        `ALTER TABLE renamed_since RENAME c TO d; ALTER TABLE renamed_since ADD c int DEFAULT 2; INSERT INTO renamed_since VALUES (3)`,
        `ALTER TABLE exchanged_since ADD c int DEFAULT 1, ADD d int DEFAULT 2; INSERT INTO exchanged_since VALUES (2, 20, 30)`,
        `ALTER TABLE exchanged_since RENAME c TO x; ALTER TABLE exchanged_since RENAME d TO c;
         ALTER TABLE exchanged_since RENAME x TO d; INSERT INTO exchanged_since VALUES (3)`,
      ])
        await lab.source.query(step);
      expect(new Set(copiedAgain((await captures.catchUp(request)).warnings))).toEqual(new Set(tables));
      for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
      await captures.drop({ slot: request.slot });
    },
  );

  test(
    'a table is copied again where somebody dropped its copy, or a part of it',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE lost (id int PRIMARY KEY, v text, w text);
      INSERT INTO lost VALUES (1, 'a', 'b')`);
      const request = { tables: ['lost'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.warehouse.query('DROP TABLE bronze.br_lost');
      await lab.source.query(`INSERT INTO lost VALUES (2, 'c', 'd')`);
      expect((await captures.catchUp(request)).warnings).toEqual([
        expect.stringMatching(/^public.lost was copied again: bronze.br_lost was dropped/),
      ]);
      await expectSameRows(lab, 'lost', 'bronze.br_lost');
      const handle = await captures.start(request);
      await captures.untilStreaming(handle);
      await lab.source.query(`INSERT INTO lost VALUES (3, 'e', 'f')`);
      await captures.untilWritten(request.slot);
      await lab.warehouse.query('ALTER TABLE bronze.br_lost DROP COLUMN w');
      await lab.source.query(`INSERT INTO lost VALUES (4, 'g', 'h')`);
      await captures.untilWritten(request.slot);
      await untilCopied('lost');
      await expectSameRows(lab, 'lost', 'bronze.br_lost');
      await lab.warehouse.query('DROP TABLE bronze.br_lost');
      await handle.executeUpdate('addTables', { args: [['lost']] });
      await untilCopied('lost');
      await expectSameRows(lab, 'lost', 'bronze.br_lost');
      await captures.end(handle, request.slot);
    },
  );

  test(
    'a table that was dropped and created anew is captured again by adding it',
    { tags: 'long' },
    async () => {
      await lab.source.query(
        `CREATE TABLE reborn (id int PRIMARY KEY, v text); INSERT INTO reborn VALUES (1, 'before')`,
      );
      const slot = captures.slotName();
      const handle = await captures.start({ tables: ['reborn'], slot, mirror: true });
      await captures.untilStreaming(handle);
      await lab.source.query(`DROP TABLE reborn; CREATE TABLE reborn (id int PRIMARY KEY, v text, w text);
      INSERT INTO reborn VALUES (7, 'after', 'w')`);
      await handle.executeUpdate('addTables', { args: [['reborn']] });
      await lab.source.query(`INSERT INTO reborn VALUES (8, 'later', 'w')`);
      await untilCopied('reborn');
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'reborn', 'bronze.br_reborn');
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
      await expect(captures.catchUp(request)).rejects.toMatchObject({
        cause: {
          type: 'SchemaConflict',
          message: expect.stringMatching(
            /bronze\.br_full_copy keeps columns.* at most 1600 columns/,
          ) as string,
        },
      });
      await lab.warehouse.query('DROP TABLE bronze.br_full_copy');
      await captures.catchUp(request);
      await untilCopied('full_copy');
      await expectSameRows(lab, 'full_copy', 'bronze.br_full_copy');
      await captures.drop({ slot: request.slot });
    },
  );

  test('a column with a name of ours ends the capture, with the reason', { tags: 'long' }, async () => {
    await lab.source.query('CREATE TABLE ours (id int PRIMARY KEY)');
    const request = { tables: ['ours'], slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    await lab.source.query('ALTER TABLE ours ADD COLUMN _bronze_run_id text; INSERT INTO ours VALUES (1)');
    await expect(captures.catchUp(request)).rejects.toMatchObject({
      cause: {
        type: 'InvalidInput',
        message: expect.stringContaining('column "_bronze_run_id", which is the name of a metadata column'),
      },
    });
    await captures.drop({ slot: request.slot });
  });

  test(
    'the log stays whole when a table is copied again, or is added after it was logged or removed',
    { tags: 'long' },
    async () => {
      await lab.source.query(
        'CREATE TABLE whole (id int PRIMARY KEY); CREATE TABLE only_logged (id int PRIMARY KEY)',
      );
      const slot = captures.slotName();
      const handle = await captures.start({ tables: ['whole'], slot, mirror: true });
      await captures.untilStreaming(handle);
      await lab.source.query(`ALTER PUBLICATION ${slot} ADD TABLE only_logged`);
      const written: Record<string, string[]> = { whole: [], only_logged: [] };
      const write = async (id: number, ...tables: string[]) => {
        for (const table of tables) {
          await lab.source.query(`INSERT INTO ${table} (id) VALUES (${id})`);
          written[table]?.push(String(id));
        }
      };
      await write(1, 'whole', 'only_logged');
      await captures.untilWritten(slot);
      // what is read before the copy is wanted, before its snapshot, and after it
      await lab.source.query('ALTER TABLE whole ADD COLUMN r float8 DEFAULT random()');
      for (let id = 2; id < 30; id += 1) await write(id, 'whole');
      await captures.untilWritten(slot);
      await untilCopied('whole');
      await handle.executeUpdate('addTables', { args: [['only_logged']] });
      for (let id = 30; id < 60; id += 1) await write(id, 'whole', 'only_logged');
      await untilCopied('only_logged');
      await captures.untilWritten(slot);
      await handle.executeUpdate('removeTables', { args: [['whole']] });
      await lab.warehouse.query('DROP TABLE bronze.br_whole');
      await handle.executeUpdate('addTables', { args: [['whole']] });
      await untilCopied('whole');
      await captures.untilWritten(slot);
      const log = await captures.changes(slot);
      for (const [table, ids] of Object.entries(written)) {
        const logged = log
          .filter((change) => change.table === table)
          .map(({ data }) => String(JSON.parse(data ?? '{}').id));
        expect(logged).toEqual(ids);
        await expectSameRows(lab, table, `bronze.br_${table}`);
      }
      await captures.end(handle, slot);
    },
  );

  test('a table is copied again where its rows are found by another key', { tags: 'long' }, async () => {
    await lab.source.query(
      `CREATE TABLE k (id int PRIMARY KEY, other int NOT NULL UNIQUE); INSERT INTO k VALUES (1, 1), (2, 2)`,
    );
    const request = { tables: ['k'], slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    await lab.source.query(
      `ALTER TABLE k DROP CONSTRAINT k_pkey, ADD PRIMARY KEY (other); UPDATE k SET id = 2; DELETE FROM k WHERE other = 2`,
    );
    expect((await captures.catchUp(request)).warnings).toEqual([
      expect.stringMatching(/^public.k was copied again: its rows are no longer identified by "id"/),
    ]);
    await expectSameRows(lab, 'k', 'bronze.br_k');
    await lab.source.query('UPDATE k SET id = 7; INSERT INTO k VALUES (7, 8)');
    await captures.catchUp(request);
    await expectSameRows(lab, 'k', 'bronze.br_k');
    await lab.source.query(
      `ALTER TABLE k DROP CONSTRAINT k_pkey, DROP CONSTRAINT k_other_key, ADD PRIMARY KEY (other, id); INSERT INTO k VALUES (9, 8)`,
    );
    expect((await captures.catchUp(request)).warnings.at(-1)).toMatch(
      /^public.k was copied again: its rows are identified by "id" too now/,
    );
    await expectSameRows(lab, 'k', 'bronze.br_k');
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
    'a column is not taken for another that has its name, nor a key for another column',
    { tags: 'long' },
    async () => {
      const tables = ['exchanged', 'swapped', 'migrated', 'reused', 'keyed'];
      await lab.source
        .query(`CREATE TABLE exchanged (id int PRIMARY KEY, c int); INSERT INTO exchanged VALUES (1, 1), (2, 2);
    CREATE TABLE swapped (id int PRIMARY KEY, a int, b int); INSERT INTO swapped VALUES (1, 10, 20), (2, 11, 21);
    CREATE TABLE migrated (id int PRIMARY KEY, new_id bigint NOT NULL UNIQUE); INSERT INTO migrated VALUES (1, 2), (2, 1);
    CREATE TABLE reused (id int PRIMARY KEY, a int, b int); INSERT INTO reused VALUES (1, 10, 20), (2, 11, 21);
    CREATE TABLE keyed (junk int, id int PRIMARY KEY, v int); INSERT INTO keyed VALUES (0, 1, 1), (0, 2, 2)`);
      const request = { tables, slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.source
        .query(`ALTER TABLE exchanged DROP COLUMN c, ADD COLUMN c int; INSERT INTO exchanged VALUES (3, 3);
    ALTER TABLE swapped RENAME a TO x; ALTER TABLE swapped RENAME b TO a; ALTER TABLE swapped RENAME x TO b;
    UPDATE swapped SET a = 0 WHERE id = 1;
    ALTER TABLE migrated RENAME id TO old_id; ALTER TABLE migrated RENAME new_id TO id;
    ALTER TABLE migrated DROP CONSTRAINT migrated_pkey, ADD PRIMARY KEY (id); INSERT INTO migrated VALUES (3, 3)`);
      // a name is reused, twice
      const reuse = (from: string, id: number) =>
        lab.source
          .query(`ALTER TABLE reused DROP COLUMN b; UPDATE reused SET id = id; ALTER TABLE reused RENAME ${from} TO b;
      UPDATE reused SET b = 0 WHERE id = 1; ALTER TABLE reused ADD COLUMN n${id} int; INSERT INTO reused VALUES (${id}, ${id}, ${id})`);
      await reuse('a', 3);
      await lab.source.query(`ALTER TABLE keyed DROP COLUMN junk; ALTER TABLE keyed RENAME id TO id2;
    INSERT INTO keyed VALUES (3, 3), (4, 4); DELETE FROM keyed WHERE id2 = 1`);
      const { warnings } = await captures.catchUp(request);
      for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
      expect(copiedAgain(warnings)).toEqual(['exchanged', 'swapped', 'migrated']);
      await reuse('n3', 4);
      expect(copiedAgain((await captures.catchUp(request)).warnings)).toHaveLength(3);
      await expectSameRows(lab, 'reused', 'bronze.br_reused');
      await captures.drop({ slot: request.slot });
    },
  );

  test(
    'a table is copied again where its rows were written anew for a column, and not for another reason',
    { tags: 'long' },
    async () => {
      const tables = ['wider', 'upper', 'filled', 'plain_now', 'calm'];
      for (const table of tables)
        await lab.source.query(
          `CREATE TABLE ${table} (id int PRIMARY KEY, n int, v varchar(9)); INSERT INTO ${table} VALUES (1, 1, 'a'), (2, 2, 'b')`,
        );
      await lab.source.query('ALTER TABLE plain_now ADD twice int GENERATED ALWAYS AS (n * 2) STORED');
      const request = { tables, slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.source
        .query(`ALTER TABLE plain_now ALTER twice DROP EXPRESSION; INSERT INTO plain_now VALUES (3, 3, 'c', 7);
    ALTER TABLE wider ALTER n TYPE bigint USING n * 100;
    ALTER TABLE upper ALTER v TYPE varchar(9) USING upper(v);
    ALTER TABLE filled ADD u uuid NOT NULL DEFAULT gen_random_uuid(); ALTER TABLE filled ALTER u DROP DEFAULT;
    INSERT INTO wider VALUES (3, 3, 'c'); INSERT INTO upper VALUES (3, 3, 'c'); INSERT INTO calm VALUES (3, 3, 'c');
    INSERT INTO filled VALUES (3, 3, 'c', gen_random_uuid());
    TRUNCATE calm; INSERT INTO calm VALUES (4, 4, 'd')`);
      await captures.catchUp(request);
      await lab.source
        .query(`ALTER TABLE calm ALTER v TYPE varchar(20), ADD r float8; ALTER TABLE calm ALTER r SET DEFAULT random();
    INSERT INTO calm VALUES (5, 5, 'e')`);
      const { warnings } = await captures.catchUp(request);
      for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
      expect(copiedAgain(warnings)).toEqual(['plain_now', 'wider', 'upper', 'filled']);
      await captures.drop({ slot: request.slot });
    },
  );

  test(
    'a table is copied again where the labels or attributes of its types changed, and not where a label was added',
    { tags: 'long' },
    async () => {
      const tables = ['labelled', 'composed', 'added_to'];
      await lab.source
        .query(`CREATE TYPE grade AS ENUM ('good', 'bad'); CREATE TYPE level AS ENUM ('low', 'high');
    CREATE TYPE pair AS (a int, g grade); CREATE TYPE single AS (a int);
    CREATE TABLE labelled (id int PRIMARY KEY, gs pair[]); INSERT INTO labelled VALUES (1, ARRAY[ROW(1, 'bad')::pair]);
    CREATE TABLE composed (id int PRIMARY KEY, s single); INSERT INTO composed VALUES (1, ROW(1)::single);
    CREATE TABLE added_to (id int PRIMARY KEY, l level); INSERT INTO added_to VALUES (1, 'low')`);
      const request = { tables, slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.source.query(
        `ALTER TYPE grade RENAME VALUE 'bad' TO 'poor'; ALTER TYPE single ADD ATTRIBUTE b int; ALTER TYPE level ADD VALUE 'top'`,
      );
      await lab.source.query(`INSERT INTO labelled VALUES (2, ARRAY[ROW(2, 'poor')::pair]);
    INSERT INTO composed VALUES (2, ROW(2, 2)::single); INSERT INTO added_to VALUES (2, 'top')`);
      const { warnings } = await captures.catchUp(request);
      await expectSameRows(lab, 'labelled', 'bronze.br_labelled', { as: { gs: 'gs::text' } });
      await expectSameRows(lab, 'composed', 'bronze.br_composed', { as: { s: 's::text' } });
      await expectSameRows(lab, 'added_to', 'bronze.br_added_to', { as: { l: 'l::text' } });
      expect(copiedAgain(warnings)).toEqual(['labelled', 'composed']);
      await captures.drop({ slot: request.slot });
    },
  );

  test('a table is not taken for another that has its name', { tags: 'long' }, async () => {
    const tables = ['one', 'other', 'anew', 'plain'];
    for (const table of tables)
      await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text); INSERT INTO ${table} VALUES (1, '${table}'), (2, '')`); // prettier-ignore
    const request = { tables, slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    await lab.source
      .query(`ALTER TABLE one RENAME TO x; ALTER TABLE other RENAME TO one; ALTER TABLE x RENAME TO other;
    UPDATE one SET v = 'a' WHERE id = 2; UPDATE other SET v = 'b' WHERE id = 2;
    DROP TABLE anew; CREATE TABLE anew (id int, v int PRIMARY KEY); ALTER PUBLICATION ${request.slot} ADD TABLE anew;
    INSERT INTO anew VALUES (5, 1), (5, 2); INSERT INTO plain VALUES (3, 'c'); ALTER TABLE plain RENAME TO renamed; INSERT INTO renamed VALUES (4, 'd')`);
    const { warnings } = await captures.catchUp(request);
    for (const table of ['one', 'other', 'anew']) await expectSameRows(lab, table, `bronze.br_${table}`);
    expect(warnings).toEqual([
      expect.stringMatching(/does not send public.anew, or did not for a while/),
      'The copies of public.anew are made again, since changes of them may be missing.',
      expect.stringMatching(/^public.one was copied again: another table has its name now/),
      expect.stringMatching(/^public.other was copied again: another table has its name now/),
      expect.stringMatching(/^public.plain is called public.renamed in the source now/),
    ]);
    await expectSameRows(lab, 'renamed', 'bronze.br_plain', { where: 'id < 4' });
    const { rows } = await lab.warehouse.query<{ id: string }>('SELECT capture_id AS id FROM bronze.cdc_positions WHERE slot = $1', [request.slot]); // prettier-ignore
    const warehouse = new Database({ label: 'warehouse', settings: connectionTo(lab.warehouseUrl) });
    const wanted = { captureId: rows[0]?.id ?? '', table: { schema: 'public', name: 'one' } };
    expect(await warehouse.write({}, async (session) => isCopyWanted(session, wanted))).toBe(false);
    await warehouse.close();
    await lab.source.query('ALTER TABLE renamed RENAME TO plain; INSERT INTO plain VALUES (5, $$e$$)');
    const cameBack = /^public.plain was .* it had another name/;
    expect((await captures.catchUp(request)).warnings.at(-1)).toMatch(cameBack);
    await expectSameRows(lab, 'plain', 'bronze.br_plain');
    // away and back within a segment, under a name that is logged by now
    await lab.source.query(`ALTER TABLE plain RENAME TO renamed; INSERT INTO renamed VALUES (6, 'f');
    ALTER TABLE renamed RENAME TO plain; INSERT INTO plain VALUES (7, 'g')`);
    expect((await captures.catchUp(request)).copiedRows).toBe(7);
    await expectSameRows(lab, 'plain', 'bronze.br_plain');
    await captures.drop({ slot: request.slot });
  });

  describe.sequential('tables come and go while it runs', () => {
    let handle: CaptureHandle;
    let slot: string;
    beforeAll(async () => {
      await lab.source
        .query(`CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY, v text, big text);
      CREATE TABLE stray (id int PRIMARY KEY);
      INSERT INTO late SELECT i, 'v', (SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 100) n) FROM generate_series(1, 3000) i`);
      slot = captures.slotName();
      handle = await captures.start({ tables: ['base'], slot, mirror: true });
      await captures.untilStreaming(handle);
    });
    afterAll(async () => captures.end(handle, slot));

    test('one that is added is copied without a gap, while it is written to and the stream goes on', async () => {
      const writing = new AbortController();
      const writer = (async () => {
        const client = await lab.connect('source', 'extractor');
        for (let i = 3001; !writing.signal.aborted; i += 1) {
          await client.query(`BEGIN; INSERT INTO late VALUES (${i}, 'new', NULL); UPDATE late SET v = v || 'u' WHERE id % 500 = ${i % 500};
          UPDATE late SET id = -id WHERE id = ${i - 2900}; DELETE FROM late WHERE id = ${i - 1500}; INSERT INTO base VALUES (${i}); COMMIT; SELECT pg_sleep(0.03)`);
        }
      })();
      const tables = await handle.executeUpdate('addTables', { args: [['late']] });
      expect(tables).toEqual(['public.base', 'public.late']);
      await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
      writing.abort();
      await writer;
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'late', 'bronze.br_late');
      await expectSameRows(lab, 'base', 'bronze.br_base');
      const { rows } = await lab.warehouse.query<{ before: number; after: number }>(
        `SELECT count(*) FILTER (WHERE commit_lsn < copied_at)::int AS before, count(*)::int AS after
         FROM bronze.cdc_changes c JOIN bronze.cdc_tables t USING (capture_id, schema, "table") WHERE c."table" = 'late'`,
      );
      expect(rows[0]?.before).toBe(0);
      expect(rows[0]?.after).toBeGreaterThan(0);
    });

    test('one that cannot be copied holds up no other, and is named', async () => {
      await lab.source.query(`CREATE TABLE first_of_two (id int PRIMARY KEY, _bronze_run_id text);
        CREATE TABLE other_of_two (id int PRIMARY KEY); INSERT INTO other_of_two VALUES (1), (2)`);
      await handle.executeUpdate('addTables', { args: [['first_of_two', 'other_of_two']] });
      await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'other_of_two', 'bronze.br_other_of_two');
      expect((await captures.status(handle)).warnings).toEqual([
        expect.stringMatching(/^The copy of public.first_of_two failed, and is given up: .*"_bronze_run_id"/),
      ]);
      await handle.executeUpdate('removeTables', { args: [['first_of_two', 'other_of_two']] });
    });

    test('what a table has to be is checked before it is added, and refused with its reason', async () => {
      await expect(handle.executeUpdate('addTables', { args: [['lat']] })).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/no table public.lat in the source.*did you mean/) },
      });
      await expect(handle.executeUpdate('addTables', { args: [[]] })).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/expected at least one table/) },
      });
      // copies of all of them at once, as after a change of the publication, have to fit in a history
      await lab.source.query(`CREATE SCHEMA crowd; DO $$ BEGIN
        FOR n IN 1..500 LOOP EXECUTE format('CREATE TABLE crowd.t%s ()', n); END LOOP; END $$`);
      await expect(handle.executeUpdate('addTables', { args: [['crowd.*']] })).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/would have 50\d tables, and one has 500 at the most/) },
      });
    });

    test('one that somebody adds to the publication is logged from then on', async () => {
      await lab.source.query(`ALTER PUBLICATION ${slot} ADD TABLE stray; INSERT INTO stray VALUES (1)`);
      await captures.untilWritten(slot);
      const logged = (await captures.changes(slot)).filter(({ table }) => table === 'stray');
      expect(logged).toMatchObject([{ operation: 'INSERT', data: '{"id": 1}' }]);
    });

    test('one that is removed is not sent any more, and its copy stays', async () => {
      // changes committed earlier have yet to be sent when it is removed
      await handle.signal('pause');
      await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
      await lab.source.query(`INSERT INTO late VALUES (99999, 'before', NULL)`);
      const tables = await handle.executeUpdate('removeTables', { args: [['late']] });
      expect(tables).toEqual(['public.base', 'public.stray']);
      const keys = `SELECT FROM pg_indexes WHERE schemaname = 'bronze_data' AND tablename LIKE 'br_late%'`;
      expect((await lab.warehouse.query(keys)).rowCount).toBe(0);
      await handle.signal('resume');
      await captures.untilWritten(slot);
      const late = `SELECT FROM bronze.cdc_tables WHERE "table" = 'late'`;
      expect((await lab.warehouse.query(late)).rowCount).toBe(0);
      const before = (await captures.changes(slot)).length;
      await lab.source.query(
        `INSERT INTO late VALUES (100000, 'unseen', NULL); INSERT INTO base VALUES (100000)`,
      );
      await captures.untilWritten(slot);
      expect(await captures.changes(slot)).toHaveLength(before + 1);
      expect((await lab.warehouse.query('SELECT FROM bronze.br_late WHERE id = 100000')).rowCount).toBe(0);
    });
  });
});

// not concurrent: it stops the copies of all
test(
  'a table that changes between its copy and the changes applied to it is copied once more',
  { tags: 'long' },
  async () => {
    const changes = {
      retyped: 'ALTER TABLE retyped ALTER b TYPE int USING b * 2; INSERT INTO retyped VALUES (9, 91, 92)',
      rekeyed:
        'ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (a); UPDATE rekeyed SET id = 77 WHERE a = 2',
      wider_key:
        'ALTER TABLE wider_key DROP CONSTRAINT wider_key_pkey, ADD PRIMARY KEY (id, a); INSERT INTO wider_key VALUES (1, 77, 2)',
      gone: 'ALTER TABLE gone RENAME TO away; UPDATE away SET a = 5; ALTER TABLE away RENAME TO gone',
    };
    const tables = Object.keys(changes);
    for (const table of tables)
      await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, a int NOT NULL, b int);
        INSERT INTO ${table} SELECT i, i, i FROM generate_series(1, 5) i`);
    await lab.source.query('CREATE TABLE before_them (id int PRIMARY KEY)');
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['before_them'], slot, mirror: true });
    await captures.untilStreaming(handle);
    for (const [table, change] of Object.entries(changes)) {
      const held = await HeldCopies.hold(lab, 'before each mark');
      await handle.executeUpdate('addTables', { args: [[table]] });
      await held.reached();
      await lab.source.query(change);
      await captures.untilWritten(slot);
      await held.release();
      await untilCopied(table);
      await captures.untilWritten(slot);
    }
    for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
    await captures.end(handle, slot);
  },
);
