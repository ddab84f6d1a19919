import { describe, test } from 'vitest';
import { startPostgres } from '../../local/postgres.ts';
import { startTemporal } from '../../local/temporal.ts';
import { startWorkerProcess } from '../../local/worker-process.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { createRoles } from '../setup/roles.ts';
import { crash, endWalsender, expectExactlyOnce, KilledWorker, restart } from './fault-moments.ts';

const MOMENTS = 20;

describe.concurrent('changes are written once, whatever happens while they come', () => {
  test('to the servers: a walsender is ended, either database crashes, Temporal is restarted', async () => {
    const [source, warehouse, temporal] = await Promise.all([
      startPostgres(),
      startPostgres(),
      startTemporal(),
    ]);
    try {
      await createRoles(source, warehouse);
      const servers = { source: source.url('postgres'), warehouse: warehouse.url('postgres') };
      await using lab = await Lab.open({ servers, temporalAddress: temporal.address });
      const captures = await CaptureLab.open(lab);
      const slot = captures.slotName();
      await expectExactlyOnce(captures, { slot, mirror: false, moments: MOMENTS }, [
        endWalsender(captures, slot),
        crash(captures, warehouse),
        crash(captures, source),
        restart(temporal),
      ]);
    } finally {
      await Promise.all([source.dispose(), warehouse.dispose(), temporal.dispose()]);
    }
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
