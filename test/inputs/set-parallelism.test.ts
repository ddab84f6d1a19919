import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SET_PARALLELISM_UPDATE } from '../../src/contract/progress.ts';
import { Lab, type ExtractHandle } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let handle: ExtractHandle;
beforeAll(async () => {
  lab = await Lab.open();
  // a run that stays open: its plan waits for the lock on the table
  await lab.source.query('CREATE TABLE orders (id int)');
  const blocker = await lab.connect('source');
  await blocker.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
  handle = await lab.start({ table: 'orders' });
  await waitUntil(async () => ((await handle.describe()).raw.pendingActivities?.length ?? 0) > 0);
});
afterAll(async () => {
  await handle.terminate();
  await lab.close();
});

const update = async (...args: [] | [unknown]): Promise<unknown> =>
  args.length === 0
    ? handle.executeUpdate<unknown, []>(SET_PARALLELISM_UPDATE)
    : handle.executeUpdate<unknown, [unknown]>(SET_PARALLELISM_UPDATE, { args });

async function updatesInHistory(): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes).length;
}

test('every message says what it is for, and internal ones that they are', async () => {
  const { definition } = await handle.query<Metadata>('__temporal_workflow_metadata');
  const { signalDefinitions, queryDefinitions, updateDefinitions } = definition;
  const own = [...signalDefinitions, ...queryDefinitions, ...updateDefinitions].filter(
    ({ name }) => !name.startsWith('__'),
  );
  expect(own.filter(({ description }) => (description ?? '') === '')).toEqual([]);
  const internal = own.filter(({ description }) => description?.startsWith('Internal'));
  expect(internal.map(({ name }) => name).toSorted()).toEqual(['parallelism', 'progressObserved']);
  expect(own.map(({ name }) => name)).toEqual(expect.arrayContaining(['pause', 'resume', 'progress']));
});

interface Metadata {
  readonly definition: Readonly<
    Record<
      'signalDefinitions' | 'queryDefinitions' | 'updateDefinitions',
      readonly { readonly name: string; readonly description?: string }[]
    >
  >;
}

describe('setParallelism', () => {
  test.each<[string, [] | [unknown], string]>([
    ['0', [0], 'too small: expected number to be >=1'],
    ['1000', [1000], 'too big: expected number to be <=64'],
    ['"four"', ['four'], 'expected number, received string'],
    ['2.5', [2.5], 'expected int, received number'],
    ['null', [null], 'expected number, received null'],
    ['nothing', [], 'input: is required'],
  ])('of %s is rejected before anything is in the history', async (_name, args, words) => {
    const before = await updatesInHistory();
    const error: unknown = await update(...args).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
    expect(String((error as WorkflowUpdateFailedError).cause)).toContain(words);
    expect(await updatesInHistory()).toBe(before);
    expect(await handle.query('progress')).toMatchObject({ parallelism: 4 });
  });

  test('by the internal signal is ignored unless it is such a number', async () => {
    for (const wanted of ['abc', 2.5, 1000, null]) await handle.signal('parallelism', wanted);
    expect(await handle.query('progress')).toMatchObject({ parallelism: 4 });
    await handle.signal('parallelism', 2);
    expect(await handle.query('progress')).toMatchObject({ parallelism: 2 });
    await handle.signal('parallelism', 4);
  });

  test('of another number is taken, and answers with the one before', async () => {
    expect(await update(7)).toBe(4);
    expect(await update(4)).toBe(7);
    expect(await updatesInHistory()).toBe(2);
  });
});
