import { test } from 'vitest';
import { startPostgres } from '../../local/postgres.ts';
import { startTemporal } from '../../local/temporal.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { createRoles } from '../setup/roles.ts';
import { crash, endWalsender, expectExactlyOnce, KilledWorker, restart } from './fault-moments.ts';

/** Three moments of each; twenty, and more faults, are in the long suite. */
test('changes are written once, whatever happens while they come: a worker is killed, a walsender ended, either database crashes, Temporal is restarted', async () => {
  const [source, warehouse, temporal] = await Promise.all([
    startPostgres(),
    startPostgres(),
    startTemporal(),
  ]);
  try {
    await createRoles(source, warehouse);
    const servers = { source: source.url('postgres'), warehouse: warehouse.url('postgres') };
    await using lab = await Lab.open({ servers, temporalAddress: temporal.address, workers: 'none' });
    const captures = await CaptureLab.open(lab);
    const slot = captures.slotName();
    await using worker = await KilledWorker.start(lab);
    await expectExactlyOnce(captures, { slot, mirror: true, moments: 3 }, [
      endWalsender(captures, slot),
      async () => worker.kill(),
      crash(captures, warehouse),
      crash(captures, source),
      restart(temporal),
    ]);
  } finally {
    await Promise.all([source.dispose(), warehouse.dispose(), temporal.dispose()]);
  }
});
