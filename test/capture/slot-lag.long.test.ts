// @module-tag long
import { expect, test } from 'vitest';
import { startPostgres } from '../../local/postgres.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';
import { createRoles } from '../setup/roles.ts';
import { waitUntil } from '../setup/wait-until.ts';

test('a slot that holds back too much while the warehouse is away is dropped all the same, where the input says so', async () => {
  const [source, warehouse] = await Promise.all([startPostgres(), startPostgres()]);
  try {
    await createRoles(source, warehouse);
    const servers = { source: source.url('postgres'), warehouse: warehouse.url('postgres') };
    await using lab = await Lab.open({ servers });
    const captures = await CaptureLab.open(lab);
    await lab.source.query('CREATE TABLE t (id int PRIMARY KEY)');
    const slot = captures.slotName();
    const limit = { maxSlotLag: '1MB', onSlotLag: 'drop' as const };
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false, ...limit });
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    await warehouse.stop('immediate');
    await lab.source.query(`SELECT pg_logical_emit_message(false, 'filling', repeat('x', 2000000))`);
    // an attempt of the stream is given up after some minutes, and then the slot is checked
    await waitUntil(async () => (await captures.slots(slot)) === 0, 500_000);
    await warehouse.start();
    await lab.reconnect();
    await expectFailure(
      handle.result(),
      'SlotLagExceeded',
      /held back .*MB.*more than 1 MB, and was dropped/,
    );
    // once the warehouse is back, nothing is left there either
    expect(await captures.drop({ slot })).toEqual({ slot: false, publication: false, bookkeeping: false });
  } finally {
    await Promise.all([source.dispose(), warehouse.dispose()]);
  }
});
