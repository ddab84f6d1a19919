import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { makePartitions } from './many-partitions.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await makePartitions(lab, 'many', 150, 20);
});
afterAll(async () => lab.close());

test('small partitions share chunks; they land and are verified each, and one by one they are replaced', async () => {
  const result = await lab.extract({ table: 'many', write: 'replace-partitions', verify: 'checksum' });
  expect(result).toMatchObject({ rows: 3_000, partitions: 150, chunks: 3 });
  await expectSameRows(lab, 'many', 'bronze.br_many');
  const { rows } = await lab.warehouse.query(
    `SELECT count(*) FROM bronze.br_many WHERE _bronze_partition = 'many_' || lpad(n::text, 5, '0')`,
  );
  expect(rows).toEqual([{ count: '3000' }]);
  await lab.source.query(`UPDATE many SET v = 'other' WHERE n % 2 = 0`);
  await lab.extract({ table: 'many', write: 'replace-partitions', partitions: { patterns: ['many_0014?'] } });
  await expectSameRows(lab, 'many', 'bronze.br_many', { where: 'n >= 140', targetWhere: 'n >= 140' });
  expect(await lab.leftoversAtLast()).toEqual([]);
});
