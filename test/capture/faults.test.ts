import { test } from 'vitest';
import { CaptureLab } from '../setup/capture-lab.ts';
import { crash, endWalsender, expectExactlyOnce, KilledWorker, restart } from './fault-moments.ts';
import { OwnServers } from './own-servers.ts';

/** One moment each; the long suite has twenty, and more faults. */
test('changes are written once, whatever happens while they come: a worker is killed, a walsender ended, either database crashes, Temporal is restarted', async () => {
  await using servers = await OwnServers.start();
  await using lab = await servers.lab({ workers: 'none' });
  const captures = await CaptureLab.open(lab);
  const slot = captures.slotName();
  await using worker = await KilledWorker.start(lab);
  await expectExactlyOnce(captures, { slot, mirror: true, moments: 1 }, [
    endWalsender(captures, slot),
    async () => worker.kill(),
    crash(captures, servers.warehouse),
    crash(captures, servers.source),
    restart(servers.temporal),
  ]);
});
