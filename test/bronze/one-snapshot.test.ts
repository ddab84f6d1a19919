import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectOneMoment } from './moving-rows.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

// the long suite has more chunk sizes
test('chunks that are copied at once, while rows move, come and go, show one moment', async () => {
  await expectOneMoment(lab, ['64kB']);
});

test(
  'rows that come after the plan, in blocks that it does not know, are there when the snapshot has them',
  { tags: 'long' },
  async () => {
    await using late = await Lab.open({ workers: 'none' });
    await late.source.query(
      `CREATE TABLE grown (id int, filler text); INSERT INTO grown SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i`,
    );
    await late.startWorkers({ only: 'copies' });
    const handle = await late.start({ table: 'grown', chunkSize: '64kB' });
    await late.planned();
    await late.source.query(
      `INSERT INTO grown SELECT i, repeat('y', 500) FROM generate_series(1001, 5000) i`,
    );
    await late.startWorkers({ only: 'snapshots' });
    await expect(handle.result()).resolves.toMatchObject({ rows: 5000, restarts: 0 });
  },
);
