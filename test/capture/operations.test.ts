import { escapeIdentifier } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaptureLab, replayLog } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
});
afterAll(async () => lab.close());

/** Captures, runs the statements, and captures again. */
async function around(
  request: {
    tables: string[];
    mirror?: boolean;
    initialCopy?: boolean;
    deletes?: 'soft';
    setReplicaIdentity?: 'full';
    publication?: string;
  },
  work: readonly string[],
): Promise<string> {
  const slot = captures.slotName();
  await captures.catchUp({ ...request, slot });
  for (const statement of work) await lab.source.query(statement);
  await captures.catchUp({ ...request, slot });
  return slot;
}

const large = (seed: number): string =>
  `(SELECT string_agg(md5((i * ${seed})::text), '') FROM generate_series(1, 400) i)`;

// each has its own tables
describe.concurrent('what is written', () => {
  test('what the log has of each operation', async () => {
    await lab.source.query(
      `CREATE TABLE things (id int PRIMARY KEY, v text, big text); CREATE TABLE whole (a int, b text);
     ALTER TABLE whole REPLICA IDENTITY FULL`,
    );
    const slot = await around({ tables: ['things', 'whole'], initialCopy: false }, [
      `INSERT INTO things VALUES (1, 'one', NULL)`,
      `UPDATE things SET v = 'eins'; UPDATE things SET id = 2; DELETE FROM things`,
      `INSERT INTO things VALUES (3, 'three', ${large(1)})`,
      `UPDATE things SET v = NULL`,
      `INSERT INTO whole VALUES (1, 'x'); UPDATE whole SET b = 'y'; DELETE FROM whole`,
      `TRUNCATE things, whole RESTART IDENTITY`,
      `BEGIN; SELECT pg_logical_emit_message(true, 'app', 'in a transaction'); ROLLBACK`,
      `SELECT pg_logical_emit_message(true, 'app', '\u{feff}text "quoted"')`,
      `SELECT pg_logical_emit_message(false, 'app', '\\x00ff'::bytea)`,
    ]);
    const logged = await captures.changes(slot);
    const big = logged[4]?.data ?? '';
    expect(big).toContain('"v": "three"');
    expect(big.length).toBeGreaterThan(12_800);
    const [things, whole, none] = [
      { schema: 'public', table: 'things' },
      { schema: 'public', table: 'whole' },
      { schema: null, table: null },
    ];
    const truncated = '{"cascade": false, "restartIdentity": true}';
    expect(logged).toEqual([
      {
        ...things,
        operation: 'INSERT',
        data: '{"v": "one", "id": 1, "big": null}',
        old: null,
        unchanged: null,
      },
      {
        ...things,
        operation: 'UPDATE',
        data: '{"v": "eins", "id": 1, "big": null}',
        old: null,
        unchanged: null,
      },
      {
        ...things,
        operation: 'UPDATE',
        data: '{"v": "eins", "id": 2, "big": null}',
        old: '{"id": 1}',
        unchanged: null,
      },
      { ...things, operation: 'DELETE', data: null, old: '{"id": 2}', unchanged: null },
      { ...things, operation: 'INSERT', data: big, old: null, unchanged: null },
      { ...things, operation: 'UPDATE', data: '{"v": null, "id": 3}', old: null, unchanged: ['big'] },
      { ...whole, operation: 'INSERT', data: '{"a": 1, "b": "x"}', old: null, unchanged: null },
      {
        ...whole,
        operation: 'UPDATE',
        data: '{"a": 1, "b": "y"}',
        old: '{"a": 1, "b": "x"}',
        unchanged: null,
      },
      { ...whole, operation: 'DELETE', data: null, old: '{"a": 1, "b": "y"}', unchanged: null },
      { ...things, operation: 'TRUNCATE', data: truncated, old: null, unchanged: null },
      { ...whole, operation: 'TRUNCATE', data: truncated, old: null, unchanged: null },
      {
        ...none,
        operation: 'MESSAGE',
        data: '{"prefix": "app", "content": "\u{feff}text \\"quoted\\"", "encoding": "utf8", "transactional": true}',
        old: null,
        unchanged: null,
      },
      {
        ...none,
        operation: 'MESSAGE',
        data: '{"prefix": "app", "content": "00ff", "encoding": "hex", "transactional": false}',
        old: null,
        unchanged: null,
      },
    ]);
    const { rows } = await lab.warehouse.query<{ wrong: number; transactions: number; messages: number }>(
      `SELECT count(*) FILTER (WHERE timestamp > _bronze_loaded_at OR lsn > commit_lsn)::int AS wrong,
            count(DISTINCT xid)::int AS transactions, count(*) FILTER (WHERE timestamp IS NULL)::int AS messages
       FROM bronze.cdc_changes WHERE slot = $1`,
      [slot],
    );
    expect(rows).toEqual([{ wrong: 0, transactions: 7, messages: 1 }]);
    await captures.drop({ slot });
  });

  test('changes of names with any characters, also that of the publication', async () => {
    const name = String.raw`It's "a.b" \c %`;
    const quoted = escapeIdentifier(name);
    await lab.source.query(
      `CREATE TABLE ${quoted} (${quoted} int PRIMARY KEY); INSERT INTO ${quoted} VALUES (1)`,
    );
    const request = { tables: [quoted], mirror: true, publication: name };
    const slot = await around(request, [
      `UPDATE ${quoted} SET ${quoted} = 2`,
      `INSERT INTO ${quoted} VALUES (3)`,
    ]);
    const { rows } = await lab.warehouse.query(
      `SELECT ${quoted} AS value FROM bronze.${escapeIdentifier(`br_${name}`)} ORDER BY 1`,
    );
    expect(rows).toEqual([{ value: 2 }, { value: 3 }]);
    const logged = (await captures.changes(slot)).map(({ table }) => table);
    // messages of other tests come to every capture of the database
    expect(logged.filter((table) => table !== null)).toEqual([name, name]);
    await captures.drop({ slot });
  });

  test('the rows of a table without columns', { tags: 'long' }, async () => {
    await lab.source.query(
      'CREATE TABLE blank (); ALTER TABLE blank REPLICA IDENTITY FULL; INSERT INTO blank DEFAULT VALUES',
    );
    const slot = await around({ tables: ['blank'] }, [
      'INSERT INTO blank DEFAULT VALUES',
      'DELETE FROM blank',
    ]);
    expect((await lab.warehouse.query('SELECT FROM bronze.br_blank')).rowCount).toBe(1);
    const logged = (await captures.changes(slot)).filter(({ table }) => table !== null);
    expect(logged.map(({ operation, data, old }) => [operation, data, old])).toEqual([
      ['INSERT', '{}', null],
      ['DELETE', null, '{}'],
      ['DELETE', null, '{}'],
    ]);
    await captures.drop({ slot });
  });

  /** All kinds of changes to rows of table t identified by a key, in one transaction and in several. */
  const difficultChanges = [
    // a chain: each row takes the key that the previous one has just given up
    `DELETE FROM t WHERE id = 50; UPDATE t SET id = id - 1 WHERE id BETWEEN 51 AND 60`,
    `INSERT INTO t SELECT i, 'new ' || i, ${large(2)} FROM generate_series(101, 120) i`,
    `UPDATE t SET v = 'touched' WHERE id % 3 = 0`,
    `UPDATE t SET id = id + 1000 WHERE id IN (1, 2)`,
    `UPDATE t SET id = id + 1000 WHERE id BETWEEN 20 AND 30`,
    // a swap: two rows exchange their keys, while unchanged large values are not sent
    `BEGIN; UPDATE t SET id = -1 WHERE id = 3; UPDATE t SET id = 3 WHERE id = 4; UPDATE t SET id = 4 WHERE id = -1; COMMIT`,
    `BEGIN; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 'again', 'small'); UPDATE t SET v = 'and again' WHERE id = 5; COMMIT`,
    `BEGIN; UPDATE t SET big = ${large(7)} WHERE id = 6; UPDATE t SET v = 'after' WHERE id = 6; UPDATE t SET id = 2006 WHERE id = 6; COMMIT`,
    `DELETE FROM t WHERE id IN (7, 8, 9)`,
    `INSERT INTO t VALUES (8, 'back', NULL)`,
  ];

  describe.sequential('a copy that is kept goes on being equal to the source', () => {
    const filled = (table: string) =>
      `CREATE TABLE ${table} (id int PRIMARY KEY, v text, big text);
       INSERT INTO ${table} SELECT i, 'v' || i, ${large(3)} FROM generate_series(1, 100) i`;
    const changesOf = (table: string) =>
      difficultChanges.map((statement) => statement.replaceAll(/\bt\b/g, table));

    test('through every change of keys, values that are not sent, whole old rows, and TRUNCATE', async () => {
      for (const table of ['t', 'whole_rows', 'emptied']) await lab.source.query(filled(table));
      await lab.source.query(`ALTER TABLE whole_rows REPLICA IDENTITY FULL;
        CREATE TABLE written_anew (id numeric PRIMARY KEY, big text); INSERT INTO written_anew VALUES (1.0, ${large(4)})`);
      const tables = ['t', 'whole_rows', 'emptied', 'written_anew'];
      const slot = await around({ tables, mirror: true }, [
        // an equal key, and another text
        'UPDATE written_anew SET id = 1.00',
        `BEGIN; DELETE FROM written_anew; INSERT INTO written_anew VALUES (1.000, 'again'); COMMIT`,
        ...difficultChanges,
        ...changesOf('whole_rows'),
        `BEGIN; INSERT INTO emptied VALUES (500, 'a', 'b'); TRUNCATE emptied; INSERT INTO emptied VALUES (1, 'new', NULL);
       UPDATE emptied SET v = 'x'; COMMIT`,
      ]);
      for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
      await captures.drop({ slot });
    });

    test('with soft deletes: rows stay, and say when they were deleted', { tags: 'long' }, async () => {
      await lab.source.query(`${filled('marked')};
        CREATE TABLE marked_anew (id numeric PRIMARY KEY, big text); INSERT INTO marked_anew VALUES (1.0, ${large(4)})`);
      const slot = await around({ tables: ['marked', 'marked_anew'], mirror: true, deletes: 'soft' }, [
        'UPDATE marked_anew SET id = 1.00',
        ...changesOf('marked'),
      ]);
      await expectSameRows(lab, 'marked_anew', 'bronze.br_marked_anew');
      await lab.warehouse.query(
        'CREATE VIEW present AS SELECT id, v, big FROM bronze.br_marked WHERE _bronze_deleted_at IS NULL',
      );
      await expectSameRows(lab, 'marked', 'public.present');
      const { rows } = await lab.warehouse.query<{ id: number; big: number }>(
        `SELECT id, length(big) AS big FROM bronze.br_marked
          WHERE _bronze_deleted_at IS NOT NULL AND id IN (2, 7, 8, 9, 20, 30, 60) ORDER BY id`,
      );
      // among them keys that were given up for others, by rows whose large values were not sent
      expect(rows).toEqual([2, 7, 9, 20, 30, 60].map((id) => ({ id, big: 12_800 })));
      await captures.drop({ slot });
    });

    test('and the first copy with the log replayed over it is equal too', { tags: 'long' }, async () => {
      await lab.source.query(filled('unkept'));
      const slot = await around({ tables: ['unkept'] }, changesOf('unkept'));
      await replayLog(lab, { slot, table: 'unkept', key: 'id', into: 'replayed', from: 'bronze.br_unkept' });
      await expectSameRows(lab, 'unkept', 'public.replayed');
      await captures.drop({ slot });
    });
  });

  test('deletes are soft from then on where a capture goes on so', { tags: 'long' }, async () => {
    await lab.source.query(
      `CREATE TABLE softened (id int PRIMARY KEY, v text); INSERT INTO softened VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
    );
    const slot = await around({ tables: ['softened'], mirror: true }, ['DELETE FROM softened WHERE id = 1']);
    await lab.source.query(`DELETE FROM softened WHERE id = 2; UPDATE softened SET v = 'd' WHERE id = 3`);
    await captures.catchUp({ tables: ['softened'], mirror: true, deletes: 'soft', slot });
    const { rows } = await lab.warehouse.query<{ id: number; v: string; deleted: boolean }>(
      'SELECT id, v, _bronze_deleted_at IS NOT NULL AS deleted FROM bronze.br_softened ORDER BY id',
    );
    expect(rows).toEqual([{ id: 2, v: 'b', deleted: true }, { id: 3, v: 'd', deleted: false }]); // prettier-ignore
    await captures.drop({ slot });
  });

  test(
    'a row that comes into a row filter without its large value is in the copy all the same',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE filtered (id int PRIMARY KEY, v int, big text);
    INSERT INTO filtered VALUES (1, 1, NULL), (-2, 2, ${large(5)})`);
      const slot = captures.slotName();
      await lab.source.query(`CREATE PUBLICATION ${slot} FOR TABLE filtered WHERE (id > 0)`);
      const request = { tables: ['filtered'], mirror: true, slot };
      await captures.catchUp(request);
      await lab.source.query('UPDATE filtered SET id = -id WHERE id = -2; UPDATE filtered SET v = 3');
      const { warnings } = await captures.catchUp(request);
      expect(warnings).toEqual([expect.stringMatching(/^public.filtered was copied again: a row came/)]);
      await expectSameRows(lab, 'filtered', 'bronze.br_filtered', { where: 'id > 0' });
      // however often, the capture goes on to know its latest warnings only
      await lab.warehouse.query(
        `UPDATE bronze.cdc_positions SET warnings = warnings || (SELECT jsonb_agg('earlier ' || i) FROM generate_series(1, 150) i) WHERE slot = $1`,
        [slot],
      );
      await lab.source.query(
        'UPDATE filtered SET id = -id WHERE id = 2; UPDATE filtered SET id = 2 WHERE id = -2',
      );
      await captures.catchUp(request);
      const { rows } = await lab.warehouse.query<{ warnings: string[] }>(
        'SELECT warnings FROM bronze.cdc_positions WHERE slot = $1',
        [slot],
      );
      const earlier = Array.from({ length: 99 }, (_, index) => `earlier ${index + 52}`);
      expect(rows[0]?.warnings).toEqual([...earlier, warnings[0]]);
      await expectSameRows(lab, 'filtered', 'bronze.br_filtered', { where: 'id > 0' });
      await captures.drop({ slot });
      await lab.source.query(`DROP PUBLICATION ${slot}`);
    },
  );

  // PostgreSQL itself does not send the TRUNCATE of a single partition under the name of its root
  test(
    'partitions come under the name of their root, new ones too; a leaf that is named under its own',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE tree (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM (0) TO (100);
    CREATE TABLE tree_2 (v text, id int NOT NULL); ALTER TABLE tree ATTACH PARTITION tree_2 FOR VALUES FROM (100) TO (200);
    INSERT INTO tree SELECT i * 20, 'v' FROM generate_series(0, 9) i`);
      const slot = await around({ tables: ['tree'], mirror: true }, [
        `CREATE TABLE tree_3 PARTITION OF tree FOR VALUES FROM (200) TO (300); INSERT INTO tree VALUES (250, 'new leaf')`,
        `UPDATE tree SET id = id + 95 WHERE id = 20; UPDATE tree SET v = 'two' WHERE id = 160; DELETE FROM tree WHERE id = 0`,
        `TRUNCATE tree; INSERT INTO tree VALUES (40, 'again'), (251, 'again')`,
      ]);
      const tables = new Set((await captures.changes(slot)).map(({ table }) => table));
      expect(tables).toEqual(new Set(['tree']));
      await expectSameRows(lab, 'tree', 'bronze.br_tree');
      const leaf = await around({ tables: ['tree_1'], mirror: true }, [
        `UPDATE tree SET v = 'leaf' WHERE id = 40`,
      ]);
      await expectSameRows(lab, 'tree_1', 'bronze.br_tree_1');
      await captures.drop({ slot });
      await captures.drop({ slot: leaf });
      // of the rows that changes brought, bronze does not know the partition
      await lab.source.query('DELETE FROM tree WHERE id = 251');
      const request = { table: 'tree', write: 'replace-partitions' } as const;
      await expect(lab.extract({ ...request, partitions: { names: ['tree_3'] } })).rejects.toMatchObject({
        cause: { type: 'TargetConflict' },
      });
      await lab.extract(request);
      await expectSameRows(lab, 'tree', 'bronze.br_tree');
    },
  );
});

// not concurrent: the other captures would log its messages too
test('a copy that no capture keeps any more can have several rows of a key', { tags: 'long' }, async () => {
  await lab.source.query(`CREATE TABLE let_go (id int PRIMARY KEY, v text, at timestamptz DEFAULT now());
    INSERT INTO let_go VALUES (1, 'one'), (2, 'two')`);
  const slot = await around({ tables: ['let_go'], mirror: true }, [
    `UPDATE let_go SET v = 'eins' WHERE id = 1`,
  ]);
  await captures.drop({ slot });
  const keys = `SELECT FROM pg_indexes WHERE schemaname = 'bronze_data' AND tablename LIKE 'br_let_go%'`;
  expect((await lab.warehouse.query(keys)).rowCount).toBe(0);
  const versions = { table: 'let_go', incremental: { column: 'at' } } as const;
  await lab.extract(versions);
  await lab.source.query(`UPDATE let_go SET v = 'uno', at = now() WHERE id = 1`);
  await lab.extract(versions);
  const { rows } = await lab.warehouse.query('SELECT v FROM bronze.br_let_go WHERE id = 1 ORDER BY v');
  expect(rows).toEqual([{ v: 'eins' }, { v: 'uno' }]);
});

test(
  'a message outside of transactions stands before the commit that follows it at once',
  { tags: 'long' },
  async () => {
    await lab.source.query('CREATE TABLE noted (id int PRIMARY KEY)');
    // others write to the same WAL: with this many commits, some directly follow their message
    const insert = (id: number) =>
      `BEGIN; INSERT INTO noted VALUES (${id}); SELECT pg_logical_emit_message(false, 'app', '${id}'); COMMIT`;
    const slot = await around(
      { tables: ['noted'], initialCopy: false },
      Array.from({ length: 20 }, (_, index) => insert(index)),
    );
    const { rows } = await lab.warehouse.query<{ changes: string; together: boolean }>(
      `SELECT string_agg(coalesce(data ->> 'content', data ->> 'id'), ',' ORDER BY commit_lsn, ordinal) AS changes,
            count(DISTINCT commit_lsn) < count(*) AS together
       FROM bronze.cdc_changes WHERE slot = $1`,
      [slot],
    );
    const expected = Array.from({ length: 20 }, (_, index) => `${index},${index}`).join(',');
    expect(rows).toEqual([{ changes: expected, together: true }]);
    await captures.drop({ slot });
  },
);
