import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('the leaves of two levels come, whatever the order of their columns', async () => {
  await lab.source.query(`CREATE SCHEMA "Old ""parts""";
    CREATE TABLE sales (gone int, id bigint, day date, shop text, note text) PARTITION BY RANGE (day);
    CREATE TABLE sales_2023 PARTITION OF sales FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY LIST (shop);
    CREATE TABLE sales_2023_a PARTITION OF sales_2023 FOR VALUES IN ('a');
    CREATE TABLE sales_2023_rest PARTITION OF sales_2023 DEFAULT;
    CREATE TABLE sales_2024 PARTITION OF sales FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE sales_none PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (shop);
    ALTER TABLE sales DROP gone;
    CREATE TABLE "Old ""parts"""."2022 (%)" (note text, lost text, shop text, id bigint, extra int, day date);
    ALTER TABLE "Old ""parts"""."2022 (%)" DROP lost, DROP extra;
    ALTER TABLE sales ATTACH PARTITION "Old ""parts"""."2022 (%)" FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
    INSERT INTO sales SELECT i, '2022-01-01'::date + i % 1000, chr(97 + i % 3), nullif('note ' || i, 'note 7')
      FROM generate_series(1, 20000) i`);
  expect(await lab.extract({ table: 'sales', chunkSize: '64kB' })).toMatchObject({
    rows: 20_000,
    partitions: 4,
  });
  await expectSameRows(lab, 'sales', 'bronze.br_sales');
});

test('a partitioned table without partitions is empty', async () => {
  await lab.source.query('CREATE TABLE hollow (id int, day date) PARTITION BY RANGE (day)');
  expect(await lab.extract({ table: 'hollow' })).toMatchObject({ rows: 0, outcome: 'committed' });
  await expectSameRows(lab, 'hollow', 'bronze.br_hollow');
});

test('a parent by plain inheritance comes with its children, each row once', async () => {
  await lab.source.query(`CREATE TABLE animals (id int, name text);
    CREATE TABLE dogs (breed text) INHERITS (animals); CREATE TABLE pets (owner text, id int, name text);
    ALTER TABLE pets INHERIT animals; CREATE TABLE lapdogs () INHERITS (dogs, pets);
    INSERT INTO animals SELECT i, 'animal ' || i FROM generate_series(1, 3000) i;
    INSERT INTO dogs SELECT i, 'dog ' || i, 'pug' FROM generate_series(1, 2000) i;
    INSERT INTO pets SELECT 'me', i, 'pet ' || i FROM generate_series(1, 1000) i;
    INSERT INTO lapdogs (id, name) VALUES (1, 'both')`);
  expect(await lab.extract({ table: 'animals', chunkSize: '32kB' })).toMatchObject({
    rows: 6001,
    partitions: 4,
  });
  await expectSameRows(lab, 'animals', 'bronze.br_animals');
});

test('a leaf can be extracted by itself', async () => {
  await lab.extract({ table: 'sales_2023_a' });
  await expectSameRows(lab, 'sales_2023_a', 'bronze.br_sales_2023_a');
});
