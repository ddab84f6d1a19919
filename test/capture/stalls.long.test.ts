// @module-tag long
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaptureLab } from '../setup/capture-lab.ts';
import type { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';
import { walsenderOf, whileStopped } from './walsender.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
});
afterAll(async () => own[Symbol.asyncDispose]());

test('a stream that is connected and comes no further is begun again', async () => {
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, initialCopy: false, stallTimeout: '2 seconds' });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  const walsender = await whileStopped(own, slot, async () => {
    await own.insert();
    expect(await pendingFailure(handle)).toMatch(/is connected and has come no further for .*before it/);
  });
  await captures.untilWritten(slot);
  expect(await walsenderOf(own, slot)).not.toBe(walsender);
  expect(await captures.changes(slot)).toHaveLength(1);
  await captures.end(handle, slot);
});

test('a source that reads on, however long it finds nothing to send, is waited for', async () => {
  const slot = captures.slotName();
  const handle = await captures.start({
    tables: ['t'],
    slot,
    initialCopy: false,
    stallTimeout: '3 seconds',
  });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  await handle.signal('pause');
  await waitUntil(async () => (await walsenderOf(own, slot)) === null);
  await lab.source.query('CREATE TABLE uncaptured (id int)');
  for (let filled = 0; filled < 40; filled += 1) {
    await lab.source.query('INSERT INTO uncaptured SELECT generate_series(1, 10000)');
  }
  await own.insert();
  await handle.signal('resume');
  await waitUntil(async () => (await walsenderOf(own, slot)) !== null);
  const walsender = (await walsenderOf(own, slot)) ?? 0;
  await slowedDown(walsender, captures.untilWritten(slot, 120_000));
  expect(await walsenderOf(own, slot)).toBe(walsender);
  expect(await captures.changes(slot)).toHaveLength(1);
  await captures.end(handle, slot);
});

/** Lets a process run only now and then until the end of something else. */
async function slowedDown(pid: number, until: Promise<void>): Promise<void> {
  const over = until.then(() => true);
  try {
    do {
      process.kill(pid, 'SIGSTOP');
      await sleep(300);
      process.kill(pid, 'SIGCONT');
    } while (!(await Promise.race([over, sleep(10, false)])));
  } finally {
    await over;
  }
}
