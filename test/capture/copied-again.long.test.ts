// @module-tag long
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isCopyWanted } from '../../src/capture/copy-tables.ts';
import { Database } from '../../src/postgres/database.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

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

// each has its own tables
describe.concurrent('while it is captured,', () => {
  test('a table is copied again where its log does not say what became of the rows from before', async () => {
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
    await captures.untilCopied('again');
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'again', 'bronze.br_again');
    expect((await captures.status(handle)).warnings[0]).toMatch(
      /^public.again was copied again: .*column "r" was added/,
    );
    await captures.end(handle, slot);
  });

  test('a table is copied again where somebody dropped its copy, or a part of it', async () => {
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
    await captures.untilCopied('lost');
    await expectSameRows(lab, 'lost', 'bronze.br_lost');
    await lab.warehouse.query('DROP TABLE bronze.br_lost');
    await handle.executeUpdate('addTables', { args: [['lost']] });
    await captures.untilCopied('lost');
    await expectSameRows(lab, 'lost', 'bronze.br_lost');
    await captures.end(handle, request.slot);
  });

  test('a table is copied again where its rows are found by another key', async () => {
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

  test('a table is copied again where its rows were written anew for a column, and not for another reason', async () => {
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
  });

  test('a table is copied again where the labels or attributes of its types changed, and not where a label was added', async () => {
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
  });

  test('an added column is not taken for another that got its name before the stream came to it', async () => {
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
  });

  test('a column is not taken for an added one where it had another name only for a while', async () => {
    const tables = ['for_a_while', 'wider_then'];
    for (const table of tables)
      await lab.source.query(
        `CREATE TABLE ${table} (id int PRIMARY KEY, b int); INSERT INTO ${table} VALUES (1, 10), (2, 20)`,
      );
    const request = { tables, slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    await lab.source.query(`ALTER TABLE for_a_while RENAME b TO c; INSERT INTO for_a_while VALUES (3, 30);
    ALTER TABLE for_a_while RENAME c TO d; ALTER TABLE for_a_while ADD c int;
    ALTER TABLE wider_then RENAME b TO c; ALTER TABLE wider_then ALTER c TYPE bigint; INSERT INTO wider_then VALUES (3, 30);
    ALTER TABLE wider_then RENAME c TO b`);
    const { warnings } = await captures.catchUp(request);
    expect(new Set(copiedAgain(warnings))).toEqual(new Set(tables));
    for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
    await captures.drop({ slot: request.slot });
  });

  test('a column is not taken for another that has its name, nor a key for another column', async () => {
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
  });

  test('a table is not taken for another that has its name', async () => {
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
      expect.stringMatching(
        /^public.other is called public.one in the source now, whose copy has its changes/,
      ),
      expect.stringMatching(/^public.other was copied again: it had another name for a while/),
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

  test('tables that exchanged their names for a while are copied again, also where only one was written to meanwhile', async () => {
    const tables = ['left_one', 'right_one'];
    for (const table of tables)
      await lab.source.query(
        `CREATE TABLE ${table} (id int PRIMARY KEY); INSERT INTO ${table} VALUES (1), (2)`,
      );
    const request = { tables, slot: captures.slotName(), mirror: true };
    await captures.catchUp(request);
    const exchange = `ALTER TABLE left_one RENAME TO x; ALTER TABLE right_one RENAME TO left_one; ALTER TABLE x RENAME TO right_one`;
    await lab.source.query(`${exchange}; DELETE FROM right_one WHERE id = 1`);
    const { warnings } = await captures.catchUp(request);
    expect(warnings).toEqual([
      expect.stringMatching(/^public.right_one was copied again: another table has its name now/),
      expect.stringMatching(
        /^public.left_one is called public.right_one in the source now, whose copy has its/,
      ),
    ]);
    await expectSameRows(lab, 'right_one', 'bronze.br_right_one');
    await lab.source.query(`${exchange}; INSERT INTO left_one VALUES (3); INSERT INTO right_one VALUES (3)`);
    await captures.catchUp(request);
    for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
    await captures.drop({ slot: request.slot });
  });

  test('a table that was dropped and created anew is captured again by adding it', async () => {
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
    await captures.untilCopied('reborn');
    await captures.untilWritten(slot);
    await expectSameRows(lab, 'reborn', 'bronze.br_reborn');
    await captures.end(handle, slot);
  });

  test('the log stays whole when a table is copied again, or is added after it was logged or removed', async () => {
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
    await captures.untilCopied('whole');
    await handle.executeUpdate('addTables', { args: [['only_logged']] });
    for (let id = 30; id < 60; id += 1) await write(id, 'whole', 'only_logged');
    await captures.untilCopied('only_logged');
    await captures.untilWritten(slot);
    await handle.executeUpdate('removeTables', { args: [['whole']] });
    await lab.warehouse.query('DROP TABLE bronze.br_whole');
    await handle.executeUpdate('addTables', { args: [['whole']] });
    await captures.untilCopied('whole');
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
  });
});

// not concurrent: it stops the copies of all
test('a table that changes between its copy and the changes applied to it is copied once more', async () => {
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
    await captures.untilCopied(table);
    await captures.untilWritten(slot);
  }
  for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
  await captures.end(handle, slot);
});
