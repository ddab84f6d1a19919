import { test } from 'vitest';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { expectExactlyOnce, KilledWorker } from './fault-moments.ts';
import { endWalsender } from './walsender.ts';

/** One moment each; the long suite has twenty, and crashes the servers. */
test('changes are written once, whatever happens while they come: a walsender is ended, a worker is killed', async () => {
  await using lab = await Lab.open({ workers: 'none' });
  const captures = await CaptureLab.open(lab);
  const slot = captures.slotName();
  await using worker = await KilledWorker.start(lab);
  await expectExactlyOnce(captures, { slot, mirror: true, moments: 1 }, [
    async () => endWalsender(captures, slot),
    async () => worker.kill(),
  ]);
});
