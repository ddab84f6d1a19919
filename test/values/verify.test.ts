import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { migrate } from '../../src/bronze/migrate.ts';
import { Database } from '../../src/postgres/database.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { grantsOnWarehouse } from '../setup/roles.ts';
import { Steps } from '../setup/steps.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';
import { difficultTable, madeTypesAs, madeTypesTable } from '../bronze/difficult-values.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('digests of every type and difficult value are the same on both servers', async () => {
  await lab.source.query(`${difficultTable('difficult', 'text')}; ${madeTypesTable('made')}`);
  await lab.extract({ table: 'difficult', verify: 'checksum' });
  await lab.extract({ table: 'made', verify: 'checksum' });
  await expectSameRows(lab, 'difficult', 'bronze.br_difficult');
  await expectSameRows(lab, 'made', 'bronze.br_made', { as: madeTypesAs });
  const { rows } = await lab.warehouse.query('SELECT DISTINCT verify FROM bronze.extraction_runs');
  expect(rows).toEqual([{ verify: 'checksum' }]);
});

test('digests of many chunks add up', { tags: 'long' }, async () => {
  await lab.source.query(
    `CREATE TABLE many AS SELECT i AS id, repeat('x', i % 300) AS filler FROM generate_series(1, 20000) i`,
  );
  const { chunks } = await lab.extract({ table: 'many', chunkSize: '128kB', verify: 'checksum' });
  expect(chunks).toBeGreaterThan(10);
  await expectSameRows(lab, 'many', 'bronze.br_many');
});

test('digests of partitions that share a chunk add up, and a table without any is empty on both servers', async () => {
  await lab.source.query('CREATE TABLE without (id int, day date) PARTITION BY RANGE (day)');
  const result = await lab.extract({ table: 'without', verify: 'checksum' });
  expect(result).toMatchObject({ outcome: 'committed', rows: 0 });
  await expectSameRows(lab, 'without', 'bronze.br_without');
  await lab.source
    .query(`CREATE TABLE without_1 PARTITION OF without FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE without_2 PARTITION OF without DEFAULT;
    INSERT INTO without VALUES (1, '2024-01-01'), (2, '2024-12-31'), (3, NULL)`);
  expect(await lab.extract({ table: 'without', verify: 'checksum' })).toMatchObject({ rows: 3, chunks: 1 });
  await expectSameRows(lab, 'without', 'bronze.br_without');
});

const changes = {
  'a value that is another': `UPDATE staging SET "odd name" = 'changed' WHERE id = 3`,
  'a value that is lost': `UPDATE staging SET "odd name" = NULL WHERE id = 3`,
  'an empty value in the place of NULL': `UPDATE staging SET "odd name" = '' WHERE id = 7`,
};

testVariants(Object.entries(changes))('%s refuses the commit and names the column', async ([, change]) => {
  await lab.source.query(`DROP TABLE IF EXISTS pairs; CREATE TABLE pairs (id int, "odd name" text);
    INSERT INTO pairs SELECT i, CASE WHEN i <> 7 THEN 'value ' || i END FROM generate_series(1, 100) i`);
  await using steps = new Steps(lab);
  const plan = await steps.load({ table: 'pairs', verify: 'checksum' });
  await lab.warehouse.query(change.replace('staging', `bronze_staging.plan_${plan.planId}`));
  const refused = await steps.commit(plan).catch((error: unknown) => error);
  expect(refused).toMatchObject({ type: 'ChecksumMismatch', nonRetryable: true });
  expect(String(refused)).toContain('in "odd name"');
  expect(String(refused)).not.toContain('changed');
  const { rows } = await lab.warehouse.query(`SELECT to_regclass('bronze.br_pairs') AS table`);
  expect(rows).toEqual([{ table: null }]);
  await steps.discard();
});

test('a row too many or too few is found in every column', async () => {
  await using steps = new Steps(lab);
  const plan = await steps.load({ table: 'pairs', verify: 'checksum' });
  await lab.warehouse.query(`DELETE FROM bronze_staging.plan_${plan.planId} WHERE id = 7`);
  await expect(steps.commit(plan)).rejects.toThrow('in "id", "odd name"');
  await steps.discard();
});

test('a source of another encoding has a digest of the same characters', { tags: 'long' }, async () => {
  const database = `windows_${lab.name}`;
  await lab.source.query(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'WIN1252' LOCALE 'C'`);
  const admin = inject('sourceAdmin');
  await administer(withDatabase(admin, database), [
    `CREATE TABLE words (word text, keys jsonb, found tsvector);
     INSERT INTO words (word) VALUES ('Zoë'), ('naïve'), (NULL), ('');
     -- UTF-8 has another order of these keys, by their bytes, and of these words
     UPDATE words SET keys = '{"aaa": [1, {"€€": 2, "b": 3}], "€€": "x, y"}', found = '''™'':1,2 ''£'':3'`,
  ]);
  await using steps = new Steps(lab, { source: withDatabase(admin, database, 'extractor') });
  const plan = await steps.load({ table: 'words', verify: 'checksum' });
  expect(await steps.commit(plan)).toMatchObject({ outcome: 'committed', rows: 4 });
  const { rows } = await lab.warehouse.query<{ word: string }>(
    'SELECT word FROM bronze.br_words WHERE length(word) = 3',
  );
  expect(rows).toEqual([{ word: 'Zoë' }]);
  await lab.source.query(`DROP DATABASE ${database} WITH (FORCE)`);
});

testVariants(['LATIN1', 'EUC_JP'])('a warehouse may be encoded in %s', async (encoding) => {
  const database = `${encoding.toLowerCase()}_${lab.name}`;
  const admin = inject('warehouseAdmin');
  await administer(admin, [
    `CREATE DATABASE ${database} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`,
    ...grantsOnWarehouse(database),
  ]);
  const url = withDatabase(admin, database, 'loader');
  const warehouse = new Database({ label: 'warehouse', settings: connectionTo(url) });
  await migrate(warehouse);
  await warehouse.close();
  await lab.source.query(`DROP TABLE IF EXISTS marks; CREATE TABLE marks AS SELECT 'a×b÷§' AS mark`);
  await using steps = new Steps(lab, { warehouse: url });
  const plan = await steps.load({ table: 'marks', verify: 'checksum' });
  expect(await steps.commit(plan)).toMatchObject({ outcome: 'committed', rows: 1 });
  await lab.source.query(`UPDATE marks SET mark = '🙂'`);
  await using later = new Steps(lab, { warehouse: url });
  await expect(later.load({ table: 'marks' })).rejects.toMatchObject({
    type: 'InvalidEncoding',
  });
  await administer(admin, [`DROP DATABASE ${database} WITH (FORCE)`]);
});

test('bytes that are no characters fail with what to do about encodings', async () => {
  const database = `ascii_${lab.name}`;
  await lab.source.query(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`);
  const admin = inject('sourceAdmin');
  await administer(withDatabase(admin, database), [
    `CREATE TABLE bytes (word text); INSERT INTO bytes VALUES (E'\\xe9')`,
  ]);
  await using ascii = new Steps(lab, { source: withDatabase(admin, database, 'extractor') });
  await expect(ascii.load({ table: 'bytes' })).rejects.toMatchObject({
    type: 'InvalidEncoding',
    message: expect.stringMatching(/no characters of its encoding.*SQL_ASCII/) as string,
  });
  await ascii.discard();
  await lab.source.query(`DROP DATABASE ${database} WITH (FORCE)`);
});
