// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import { peakMemory } from '../../bench/process-times.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';

const TABLES = 150;

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  captures = await CaptureLab.open(lab);
  for (let table = 0; table < TABLES; table += 1) {
    await lab.source.query(
      `CREATE TABLE t${table} (id int PRIMARY KEY, v text); INSERT INTO t${table} SELECT i, 'row ' || i FROM generate_series(1, 100) i`,
    );
  }
});
afterAll(async () => lab.close());

test('a worker stays small while a capture copies many tables', async () => {
  const worker = await lab.startWorkerProcess();
  const slot = captures.slotName();
  try {
    const result = await captures.catchUp({ tables: ['public.*'], slot });
    expect(result.copiedRows).toBe(TABLES * 100);
    const peak = await peakMemory(worker.pid);
    process.stdout.write(`peak memory of the worker: ${Math.round(peak / 1024 / 1024)} MB\n`);
    expect(peak).toBeLessThan(250 * 1024 * 1024);
    await captures.drop({ slot });
  } finally {
    await worker.stop();
  }
});
