import { expect, test } from 'vitest';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

test('a worker that is asked to stop ends the chunk that it is at, and leaves the others and the snapshot to another', async () => {
  await using lab = await Lab.open({ workers: 'none' });
  await lab.source.query(`CREATE TABLE orders (id int, v text);
    INSERT INTO orders SELECT i, repeat('v', 100) FROM generate_series(1, 10000) i`);
  const stop = await lab.startWorkers();
  const gate = await Gate.closed(lab);
  const where = 'gate(id = 1)';
  const handle = await lab.start({ table: 'orders', chunkSize: '128kB', parallelism: 1, where });
  await gate.reached();
  await lab.startWorkers();
  const stopped = stop();
  await gate.open();
  await expect(handle.result()).resolves.toMatchObject({ rows: 10_000, restarts: 0 });
  await stopped;
  const { events } = await handle.fetchHistory();
  const copies = new Map(
    (events ?? []).flatMap(({ eventId, activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityId?.startsWith('copy-') === true ? [[String(eventId), scheduled.activityId]] : [],
    ),
  );
  const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => {
    const name = copies.get(String(started?.scheduledEventId));
    return name === undefined ? [] : [[name, started?.attempt]];
  });
  // the first ended before its span did, and no attempt failed
  expect(attempts.slice(0, 2)).toEqual([
    ['copy-0', 1],
    ['copy-1', 1],
  ]);
  expect(attempts.every(([, attempt]) => attempt === 1)).toBe(true);
  await expectSameRows(lab, 'orders', 'bronze.br_orders');
  expect(await lab.leftoversAtLast()).toEqual([]);
});
