import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

describe('extractTable', () => {
  test('copies a small table', async () => {
    await lab.source.query(`CREATE TABLE users (id int PRIMARY KEY, name text);
      INSERT INTO users SELECT i, 'name ' || i FROM generate_series(1, 1000) i`);
    const result = await lab.extract({ table: 'users' });
    expect(result).toMatchObject({ target: 'bronze.br_users', rows: 1000, chunks: 1, outcome: 'committed' });
    expect(await lab.leftovers()).toEqual([]);
    const again = await lab.extract({ table: 'users' });
    console.log(result, again);
  });
  test('copies a larger table in chunks', async () => {
    await lab.source.query(`CREATE TABLE big (id int PRIMARY KEY, name text);
      INSERT INTO big SELECT i, 'name ' || i FROM generate_series(1, 300000) i`);
    const result = await lab.extract({ table: 'big', chunkSize: '1MB' });
    console.log(result);
    const { rows } = await lab.warehouse.query('SELECT count(*), min(_bronze_loaded_at), max(_bronze_source) FROM bronze.br_big');
    console.log(rows);
    await new Promise((r) => setTimeout(r, 1500));
    expect(await lab.leftovers()).toEqual([]);
  });
});
