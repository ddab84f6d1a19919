import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Gate } from '../setup/gate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab, type ExtractHandle } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

/** Time from the request until nothing of the run is left on either server. */
const WITHIN = 5_000;

let lab: Lab;
let table: string;
/** Digest of the rows of the first run, which must stay. */
let before: string;
/** A condition makes plan, copy and commit separate activities. */
const inSteps = { where: 'true' };
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());
beforeEach(async () => {
  ({ table } = lab.nextTable());
  before = `before_${table}`;
  await lab.source.query(`CREATE TABLE ${table} (id int, v text);
    INSERT INTO ${table} SELECT i, repeat('v', 100) FROM generate_series(1, 10000) i; CREATE TABLE ${before} AS TABLE ${table}`);
  await lab.extract({ table });
  await lab.source.query(`DELETE FROM ${table} WHERE id % 2 = 0`);
});

async function expectCancelled(handle: ExtractHandle): Promise<void> {
  const ended = await handle.result().catch((error: unknown) => error);
  expect(ended).toBeInstanceOf(WorkflowFailedError);
  expect((ended as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
  expect((await handle.describe()).status.name).toBe('CANCELLED');
  const { rows } = await lab.warehouse.query<{ status: string }>(
    `SELECT status FROM bronze.extraction_runs WHERE run_id = $1`,
    [handle.firstExecutionRunId],
  );
  expect(rows).toEqual([{ status: 'cancelled' }]);
  await expectSameRows(lab, before, `bronze.br_${table}`);
}

/** Cancels a run in the middle of a copy, whose session must end without waiting for the lock that holds it. */
async function cancelHeld(handle: ExtractHandle, held: HeldCopies): Promise<void> {
  const [pid] = await held.reached();
  await handle.cancel();
  const isGone = async () => !(await lab.leftovers()).some((left) => left.startsWith(`session ${pid} `));
  try {
    await waitUntil(isGone, WITHIN);
  } finally {
    // dropping the staging table waits for it
    await held.release();
  }
  await handle.result().catch(() => undefined);
}

describe('a run that is cancelled leaves no session, no staging table, and bronze as it was', () => {
  test('in the middle of copies', async () => {
    const gate = await Gate.closed(lab);
    const handle = await lab.start({ table, chunkSize: '128kB', where: 'gate(id % 1000 = 1)' });
    await gate.reached(4);
    await handle.cancel();
    expect(await lab.leftoversAtLast(WITHIN)).toEqual([]);
    await expectCancelled(handle);
    await gate.open();
  });

  test('while the warehouse makes a copy wait', { tags: 'long' }, async () => {
    const held = await HeldCopies.hold(lab, 'before each mark');
    const handle = await lab.start({ table, ...inSteps });
    await cancelHeld(handle, held);
    expect(await lab.leftoversAtLast(WITHIN)).toEqual([]);
    await expectCancelled(handle);
  });

  test('while the source makes the plan wait', { tags: 'long' }, async () => {
    const locker = await lab.connect('source');
    await locker.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    const handle = await lab.start({ table });
    await waitUntil(async () =>
      (await lab.leftovers()).some((left) => left.includes('of extractor, active')),
    );
    await handle.cancel();
    expect(await lab.leftoversAtLast(WITHIN)).toEqual([]);
    await locker.query('ROLLBACK');
    expect((await handle.result().catch((error: unknown) => error)) as Error).toMatchObject({
      cause: { name: 'CancelledFailure' },
    });
    await expectSameRows(lab, before, `bronze.br_${table}`);
  });

  test('while the commit waits for a reader', { tags: 'long' }, async () => {
    const reader = await lab.connect('warehouse');
    await reader.query(`BEGIN; SELECT FROM bronze.br_${table} LIMIT 1`);
    const handle = await lab.start({ table, ...inSteps });
    await waitUntil(async () => (await lab.leftovers()).some((left) => left.includes('LOCK TABLE')));
    await handle.cancel();
    expect(await lab.leftoversAtLast(WITHIN)).toEqual([]);
    await reader.query('COMMIT');
    await expectCancelled(handle);
  });

  test('while a small table is copied by the activity that planned it', async () => {
    const held = await HeldCopies.hold(lab, 'before each mark');
    const handle = await lab.start({ table });
    await cancelHeld(handle, held);
    expect(await lab.leftoversAtLast(WITHIN)).toEqual([]);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    await expectSameRows(lab, before, `bronze.br_${table}`);
  });
});

test('a run that is terminated leaves no session', { tags: 'long' }, async () => {
  const gate = await Gate.closed(lab);
  const handle = await lab.start({ table, chunkSize: '128kB', where: 'gate(id % 1000 = 1)' });
  await gate.reached(4);
  await handle.terminate('a test');
  await waitUntil(async () => (await lab.leftovers()).every((left) => !left.startsWith('session')), WITHIN);
  await gate.open();
  await expectSameRows(lab, before, `bronze.br_${table}`);
});
