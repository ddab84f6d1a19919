import { expect } from 'vitest';
import type { Activities } from '../../src/contract/activities.ts';
import type { Span } from '../../src/contract/chunks.ts';
import type { PlanExtractionRequest } from '../../src/contract/plan-summary.ts';
import type { CopyTablesRequest, Member } from '../../src/contract/database-activities.ts';
import { formatTableName } from '../../src/contract/table-name.ts';
import { planOf, withFakeDatabase } from '../setup/fake-run.ts';

/** Fakes the activities of a source with these tables. */
export function sourceWith(members: readonly Member[]): Partial<Activities> {
  return {
    resolveTables: async () => ({
      count: members.length,
      incremental: 0,
      newTables: { count: 0, names: [] },
      vanishedTables: { count: 0, names: [] },
      warnings: [],
    }),
    readMembers: async ({ from }) => members.slice(from, from + 1_500),
    planExtraction: async ({ input }: PlanExtractionRequest) => ({
      ...planOf(20, formatTableName(input.table)),
      partitions: [],
    }),
  };
}

export const small = (count: number): Member[] =>
  Array.from({ length: count }, (_, index) => ({
    table: `public.a_rather_long_name_of_a_table_as_some_programs_make_them_${index}`,
    bytes: 8192,
    large: false,
  }));

const MB = 1024 * 1024;

/** Tables worth a workflow of their own, by their sizes in megabytes. */
export const large = (...sizes: number[]): Member[] =>
  sizes.map((size, index) => ({
    table: `public.large_${index}`,
    bytes: size * MB,
    large: true,
  }));

export const eventually = async (what: () => boolean | Promise<boolean>): Promise<void> => {
  await expect.poll(what, { timeout: 60_000 }).toBe(true);
};

/** Copies that the test ends, and those in progress. */
export class HeldCopies {
  readonly under: string[] = [];
  most = 0;
  #open = new Set<string>();

  readonly copyChunks = async ({ planId, count }: Span & { planId: string }) => {
    this.under.push(planId);
    this.most = Math.max(this.most, this.under.length);
    while (!this.#open.has(planId)) await new Promise((resolve) => setTimeout(resolve, 10));
    this.under.splice(this.under.indexOf(planId), 1);
    return { rows: count, bytes: count };
  };

  open(...planIds: string[]): void {
    for (const planId of planIds) this.#open.add(planId);
  }

  /** Returns the number of copies in progress for each table. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const planId of this.under) counts[planId] = (counts[planId] ?? 0) + 1;
    return counts;
  }
}

/** Expects a run of this many small tables to stay within the limits of events and payload size. */
export async function expectWithinLimits(count: number, mostEvents: number): Promise<void> {
  const copied: number[] = [];
  const fakes: Partial<Activities> = {
    ...sourceWith(small(count)),
    copyTables: async ({ members }: CopyTablesRequest) => {
      copied.push(...members);
      return { tables: members.map((member) => ({ member, outcome: 'committed', rows: 1, bytes: 1 })) };
    },
  };
  await withFakeDatabase(fakes, { tables: ['public.*'], parallelism: 8 }, async (handle) => {
    const result = await handle.result();
    expect(result).toMatchObject({ outcome: 'complete', tables: count, committed: count, rows: count });
    expect(copied.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index));
    const { events } = await handle.fetchHistory();
    expect(events?.length).toBeLessThan(mostEvents);
    const sizes = (events ?? []).map((event) => JSON.stringify(event).length);
    expect(Math.max(...sizes)).toBeLessThan(256 * 1024);
    expect(JSON.stringify(await handle.query('progress')).length).toBeLessThan(256 * 1024);
  });
}
