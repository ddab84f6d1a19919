// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { makePartitions } from './many-partitions.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await makePartitions(lab, 'many', 2_000, 100);
}, 600_000);
afterAll(async () => lab.close());

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  process.stdout.write(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  return result;
}

test('2,000 partitions of 100 rows, end to end', async () => {
  const request = { table: 'many', write: 'replace-partitions' } as const;
  const result = await timed('2,000 partitions', async () => lab.extract(request));
  expect(result).toMatchObject({ rows: 200_000, partitions: 2_000 });
  await expectSameRows(lab, 'many', 'bronze.br_many');
  await lab.source.query(`UPDATE many SET v = 'other' WHERE n % 2 = 0`);
  const names = Array.from({ length: 1_000 }, (_, index) => `many_${String(index * 2).padStart(5, '0')}`);
  await timed('1,000 of them replaced', async () => lab.extract({ ...request, partitions: { names } }));
  await expectSameRows(lab, 'many', 'bronze.br_many');
  expect(await lab.leftoversAtLast()).toEqual([]);
}, 600_000);
