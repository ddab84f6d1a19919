// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import { peakMemory } from '../../bench/process-times.ts';
import type { WorkerProcess } from '../../local/worker-process.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

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
    await expectSmall(worker);
    await captures.drop({ slot });
  } finally {
    await worker.stop();
  }
});

test('a worker stays small while a large transaction of narrow rows is applied to a copy', async () => {
  await lab.source.query(
    'CREATE SCHEMA narrow; CREATE TABLE narrow.t (id bigint PRIMARY KEY, v text, n numeric)',
  );
  const worker = await lab.startWorkerProcess();
  const request = { tables: ['narrow.t'], slot: captures.slotName(), mirror: true };
  try {
    await captures.catchUp(request);
    await lab.source.query(
      `BEGIN; INSERT INTO narrow.t SELECT i, 'row ' || i, i / 7.0 FROM generate_series(1, 300000) i;
       UPDATE narrow.t SET v = v || '!' WHERE id % 2 = 0; COMMIT`,
    );
    await captures.catchUp(request);
    await expectSmall(worker);
    await expectSameRows(lab, 'narrow.t', 'bronze.br_narrow__t');
    await captures.drop({ slot: request.slot });
  } finally {
    await worker.stop();
  }
});

async function expectSmall({ pid }: WorkerProcess): Promise<void> {
  const peak = await peakMemory(pid);
  process.stdout.write(`peak memory of the worker: ${Math.round(peak / 1024 / 1024)} MB\n`);
  expect(peak).toBeLessThan(250 * 1024 * 1024);
}
