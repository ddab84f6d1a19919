import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
import { expect, test } from 'vitest';
import type { ChangeTablesRequest } from '../../src/contract/capture-activities.ts';
import type { SchemaOrTable } from '../../src/contract/schema-or-table.ts';
import { signalSnapshot, untilCancelled, withFakeCapture } from '../setup/fake-run.ts';
import { waitUntil } from '../setup/wait-until.ts';

const named = (patterns: readonly SchemaOrTable[]) =>
  patterns.flatMap((one) => (one.all === true ? [] : one.name));
const table = (name: string, copying = true) => ({ schema: 'public', name, copying });

const prepared = {
  captureId: '1',
  outcome: 'resume' as const,
  tables: [],
  written: { transactions: 0, changes: 0 },
  logEnd: '0/1',
  warnings: [],
};

const lent = {
  holdSlot: async ({ holder }: { readonly holder: string }) => {
    await signalSnapshot(holder, '00000003-1');
    await untilCancelled();
  },
};

test('tables that are added at once are all copied, in whatever order they are told', async () => {
  const present = [table('base', false)];
  let changes = 0;
  const activities = {
    ...lent,
    prepareCapture: async () => ({ ...prepared, tables: present }),
    changeTables: async ({ tables }: ChangeTablesRequest) => {
      present.push(...named(tables).map((name) => table(name)));
      const answer = [...present];
      changes += 1;
      if (changes === 1) await sleep(500); // its answer comes last, unless the other waits for it
      return answer;
    },
    planCopy: async () => null,
  };
  await withFakeCapture(activities, { tables: ['base'] }, async (handle) => {
    const adding = ['one', 'two'].map(async (name) => handle.executeUpdate('addTables', { args: [[name]] }));
    await Promise.all(adding);
    await waitUntil(async () => (await handle.query<{ copying: string[] }>('status')).copying.length === 0);
    const { tables } = await handle.query<{ tables: string[] }>('status');
    expect(tables.toSorted()).toEqual(['public.base', 'public.one', 'public.two']);
    await handle.terminate();
  });
});

test('a copy that was given up is tried again by naming it, and not whenever tables change', async () => {
  const present = [table('base', false), table('bad')];
  const planned: string[] = [];
  const activities = {
    ...lent,
    prepareCapture: async () => ({ ...prepared, tables: present }),
    changeTables: async ({ change, tables }: ChangeTablesRequest) => {
      if (change === 'remove')
        present.splice(0, present.length, ...present.filter(({ name }) => !named(tables).includes(name)));
      else present.push(...named(tables).map((name) => table(name, name === 'bad')));
      return [...present];
    },
    planCopy: async ({ table: { name } }: { readonly table: { readonly name: string } }) => {
      planned.push(name);
      throw ApplicationFailure.nonRetryable('nothing identifies its rows', 'KeyConflict');
    },
  };
  await withFakeCapture(activities, { tables: ['base'] }, async (handle) => {
    const isQuiet = async () => {
      await waitUntil(async () => (await handle.query<{ copying: string[] }>('status')).copying.length === 0);
      return planned.length;
    };
    await waitUntil(async () => planned.length === 1);
    for (const name of ['other', 'third']) await handle.executeUpdate('addTables', { args: [[name]] });
    await handle.executeUpdate('removeTables', { args: [['third']] });
    expect(await isQuiet()).toBe(1);
    await handle.executeUpdate('addTables', { args: [['public.*']] });
    await waitUntil(async () => planned.length === 2);
    expect(await isQuiet()).toBe(2);
    await handle.executeUpdate('removeTables', { args: [['bad']] });
    await handle.executeUpdate('addTables', { args: [['bad']] });
    await waitUntil(async () => planned.length === 3);
    expect(await isQuiet()).toBe(3);
    await handle.terminate();
  });
});

test('a first copy in which every table fails ends the capture', async () => {
  const tables = [table('one'), table('two')];
  const planned: string[] = [];
  const activities = {
    ...lent,
    prepareCapture: async () => ({ ...prepared, outcome: 'new' as const, tables }),
    planCopy: async ({ table: { name } }: { readonly table: { readonly name: string } }) => {
      planned.push(name);
      throw ApplicationFailure.nonRetryable('nobody may write to bronze', 'InsufficientPrivilege');
    },
    dropCapture: async () => ({ slot: true, publication: true, bookkeeping: true }),
  };
  await withFakeCapture(activities, { tables: ['public.*'] }, async (handle) => {
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'InsufficientPrivilege' } });
    expect(planned).toEqual(['one', 'two']);
  });
});
