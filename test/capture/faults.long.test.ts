// @module-tag long
import { describe, test } from 'vitest';
import { startWorkerProcess } from '../../local/worker-process.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { crash, expectExactlyOnce, KilledWorker, restart } from './fault-moments.ts';
import { OwnServers } from './own-servers.ts';
import { endWalsender } from './walsender.ts';

const MOMENTS = 20;

describe.concurrent('changes are written once, whatever happens while they come', () => {
  test('to the servers: a walsender is ended, either database crashes, Temporal is restarted', async () => {
    await using servers = await OwnServers.start();
    await using lab = await servers.lab();
    const captures = await CaptureLab.open(lab);
    const slot = captures.slotName();
    await expectExactlyOnce(captures, { slot, mirror: false, moments: MOMENTS }, [
      async () => endWalsender(captures, slot),
      crash(captures, servers.warehouse),
      crash(captures, servers.source),
      restart(servers.temporal),
    ]);
  });

  test('to the worker: it is killed', async () => {
    await using lab = await Lab.open({ workers: 'none' });
    const captures = await CaptureLab.open(lab);
    const slot = captures.slotName();
    await using worker = await KilledWorker.start(lab);
    await expectExactlyOnce(captures, { slot, mirror: true, moments: MOMENTS }, [async () => worker.kill()]);
  });

  test('to the worker: it hangs, another takes over, and it wakes up again', async () => {
    await using lab = await Lab.open({ workers: 'none' });
    const captures = await CaptureLab.open(lab);
    const slot = captures.slotName();
    const workers = [await startWorkerProcess({ env: lab.workerEnvironment })];
    try {
      await expectExactlyOnce(captures, { slot, mirror: true, moments: 1 }, [
        async () => {
          workers[0]?.kill('SIGSTOP');
          workers.push(await startWorkerProcess({ env: lab.workerEnvironment }));
          await captures.untilWritten(slot, 120_000);
          workers[0]?.kill('SIGCONT');
          await captures.untilWritten(slot, 120_000);
        },
      ]);
    } finally {
      for (const worker of workers) worker.kill('SIGKILL');
    }
  });
});
