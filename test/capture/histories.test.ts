import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
import { expect, test } from 'vitest';
import type { ChangeTablesRequest, CopySmallTablesRequest } from '../../src/contract/capture-activities.ts';
import type { SchemaOrTable } from '../../src/contract/schema-or-table.ts';
import { caughtUp, lendSlotSnapshot, prepared, withFakeCapture } from '../setup/fake-run.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { withResolvers } from '../setup/with-resolvers.ts';

const named = (patterns: readonly SchemaOrTable[]) =>
  patterns.flatMap((one) => (one.all === true ? [] : one.name));
const table = (name: string, copying = true) => ({ schema: 'public', name, copying });

const lent = { holdSlot: lendSlotSnapshot };

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

test('a capture that is caught up ends once the tables that somebody adds are copied', async () => {
  const [adding, streamed] = [withResolvers(), withResolvers()];
  const planned: string[] = [];
  const activities = {
    ...lent,
    prepareCapture: async () => ({ ...prepared, tables: [table('base', false)] }),
    streamChanges: async () => {
      await adding.promise;
      streamed.resolve();
      return caughtUp;
    },
    changeTables: async () => {
      adding.resolve();
      await streamed.promise;
      await sleep(500); // the capture hears of the end of its stream first
      return [table('base', false), table('late')];
    },
    planCopy: async ({ table: { name } }: { readonly table: { readonly name: string } }) => {
      planned.push(name);
      return null;
    },
  };
  await withFakeCapture(activities, { tables: ['base'], until: 'caught-up' }, async (handle) => {
    await handle.executeUpdate('addTables', { args: [['late']] });
    const tables = ['public.base', 'public.late'];
    expect(await handle.result()).toMatchObject({ outcome: 'caught up', tables });
    expect(planned).toEqual(['late']);
  });
});

test('a table is removed once added tables are copied, whose copies could be of it', async () => {
  const done: string[] = [];
  const copying = withResolvers();
  const end = withResolvers();
  const activities = {
    ...lent,
    prepareCapture: async () => ({ ...prepared, tables: [table('base', false), table('late')] }),
    planCopy: async () => {
      copying.resolve();
      await end.promise;
      done.push('copied');
      return null;
    },
    changeTables: async ({ change }: ChangeTablesRequest) => {
      done.push(change);
      return [table('base', false)];
    },
  };
  await withFakeCapture(activities, { tables: ['base', 'late'] }, async (handle) => {
    await copying.promise;
    const removing = handle.executeUpdate('removeTables', { args: [['late']] });
    await sleep(500);
    end.resolve();
    await removing;
    expect(done).toEqual(['copied', 'remove']);
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

test('tables that an activity did not come to are copied by the next unless paused, and those that it left by themselves', async () => {
  const tables = Array.from({ length: 9 }, (_, index) => table(`t${index}`));
  const [packed, planned]: [string[], string[]] = [[], []];
  const paused = withResolvers();
  const copied = { outcome: 'copied' as const, rows: 1, bytes: 10, warnings: [] };
  const activities = {
    ...lent,
    prepareCapture: async () => ({ ...prepared, outcome: 'new' as const, tables }),
    copySmallTables: async ({ tables: [first] }: CopySmallTablesRequest) => {
      const { name = '' } = first ?? {};
      packed.push(name);
      await paused.promise;
      return [name === 't4' ? { ...copied, outcome: 'alone' as const, rows: 0, bytes: 0 } : copied];
    },
    planCopy: async ({ table: { name } }: { readonly table: { readonly name: string } }) => {
      planned.push(name);
      return null;
    },
    beginStreaming: async () => undefined,
    streamChanges: async () => caughtUp,
  };
  const request = { tables: ['public.*'], parallelism: 1, until: 'caught-up' as const };
  await withFakeCapture(activities, request, async (handle) => {
    await waitUntil(async () => packed.length === 1);
    await handle.signal('pause');
    paused.resolve();
    await sleep(500);
    expect(packed).toEqual(['t0']);
    await handle.signal('resume');
    expect(await handle.result()).toMatchObject({ outcome: 'caught up', copiedRows: 8 });
    expect(packed).toEqual(tables.map(({ name }) => name));
    expect(planned).toEqual(['t4']);
  });
});
