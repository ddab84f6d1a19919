// @module-tag long
import { expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { Gate } from '../setup/gate.ts';
import { asIncremental } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

/** Holds a run at a step; the returned function releases it. */
type Hold = (lab: Lab) => Promise<() => Promise<unknown>>;

const steps: Readonly<Record<string, Hold>> = {
  plan: async (lab) => {
    const blocker = await lab.connect('source');
    await blocker.query('BEGIN; LOCK TABLE k IN ACCESS EXCLUSIVE MODE');
    return async () => blocker.query('ROLLBACK');
  },
  'copy-0': async (lab) => {
    const gate = await Gate.closed(lab);
    return async () => gate.open();
  },
  commit: async (lab) => {
    const blocker = await lab.connect('warehouse');
    await blocker.query(`BEGIN; LOCK TABLE bronze.extraction_checkpoints IN SHARE MODE`);
    return async () => blocker.query('ROLLBACK');
  },
};

// no key: a repeated row would be there twice
const request: ExtractTableRequest = {
  table: 'k',
  where: 'gate(id = 5)',
  incremental: { column: 'at', lookback: '1 day' },
};

async function expectEndedByAnother(step: string): Promise<void> {
  const hold = steps[step];
  if (hold === undefined) throw new Error(`there is no step ${step}`);
  await using lab = await Lab.open({ workers: 'none' });
  await lab.source.query(`CREATE TABLE k (id int, at timestamptz);
      INSERT INTO k SELECT i, timestamptz '2024-01-01 00:00+00' FROM generate_series(1, 1000) i`);
  await (await Gate.closed(lab)).open();
  const warm = await lab.startWorkers();
  await lab.extract(request);
  await warm();

  await lab.source.query(
    `INSERT INTO k SELECT i, timestamptz '2024-01-01 01:00+00' FROM generate_series(1, 1000) i`,
  );
  const letOn = await hold(lab);
  const worker = await lab.startWorkerProcess();
  const handle = await lab.start(request);
  await waitUntil(async () => {
    const { raw } = await handle.describe();
    return (raw.pendingActivities ?? []).some(
      ({ activityId, lastStartedTime }) => activityId === step && lastStartedTime != null,
    );
  });
  worker.kill('SIGKILL');
  await letOn();
  await lab.startWorkers();
  expect(asIncremental(await handle.result()).incremental).toMatchObject({ added: 1000, unchanged: 1000 });
  await expectSameRows(lab, 'k', 'bronze.br_k');
  expect(await lab.leftoversAtLast()).toEqual([]);
}

test('a worker that is killed in its commit leaves a run that another one ends, with nothing lost and nothing doubled', async () =>
  expectEndedByAnother('commit'));

// concurrent, since most of the time is spent waiting until the worker is missed
test.concurrent.for(['plan', 'copy-0'])('and so at the step %s', expectEndedByAnother);
