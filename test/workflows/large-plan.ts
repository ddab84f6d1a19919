import type { WorkflowHandle } from '@temporalio/client';
import type { ExtractionPlan } from '../../src/bronze/plan.ts';
import { chunkCount } from '../../src/bronze/plan.ts';
import type { Span } from '../../src/contract/chunks.ts';
import type { PlanSummary } from '../../src/contract/plan-summary.ts';
import { planPartitions } from '../../src/extraction/plan/plan-partitions.ts';
import { summarize } from '../../src/extraction/plan/plan-summary.ts';
import { Catalog } from '../../src/postgres/catalog/catalog.ts';
import type { Session } from '../../src/postgres/session.ts';

/** Far below the limits of the server (51,200 events, 2 MB). */
export const MOST_EVENTS = 10_000;
export const LARGEST_PAYLOAD = 256 * 1024;

export interface LargePlan {
  readonly partitions: number;
  readonly blocksEach: number;
  readonly parallelism: number;
  /** Bytes. */
  readonly chunkSize?: number;
}

/** Returns the planner's result for this many partitions, with names of maximum length. */
export async function largePlan(large: LargePlan): Promise<{ summary: PlanSummary; plan: ExtractionPlan }> {
  const table = { schema: 'public', name: 'orders' };
  const partitions = Array.from({ length: large.partitions }, (_, index) => ({
    schema: 'public',
    name: `orders_${'x'.repeat(50)}_${String(index).padStart(5, '0')}`,
    oid: index + 1,
    fileNode: index + 1,
    columns: `20 ${'0'.repeat(32)}`,
    blocks: large.blocksEach,
    toastBlocks: 0,
    hasBlocks: true,
    mayReadCtid: true,
    rowSecurityActive: false,
    isForeign: false,
    locks: 1,
  }));
  const { chunkSize, parallelism } = large;
  const server = {
    version: 18_00_00,
    host: 'host',
    database: 'shop',
    role: 'extractor',
    encoding: 'UTF8',
    blockSize: 8192,
  };
  const planned = await planPartitions(new Catalog(undefined as unknown as Session, 'host'), {
    table: { ...table, oid: 1, kind: 'partitioned table', rowSecurityActive: false, role: server.role },
    types: new Map(),
    partitions,
    server,
    input: { parallelism, ...(chunkSize !== undefined && { chunkSize }) },
  });
  const plan = { table, target: 'br_orders', ...planned } as unknown as ExtractionPlan;
  const stored = { planId: '1', runId: 'run', plan };
  return { summary: summarize(stored), plan };
}

/** Copies that record the chunks they were asked for. */
export class Copies {
  readonly #done: Uint8Array;
  activities = 0;

  constructor(plan: ExtractionPlan) {
    this.#done = new Uint8Array(chunkCount(plan));
  }

  readonly copyChunks = async ({ from, count }: Span) => {
    this.activities += 1;
    for (let chunk = from; chunk < from + count; chunk += 1) this.#done[chunk] = (this.#done[chunk] ?? 9) + 1;
    return { rows: count, bytes: count };
  };

  /** Counts the chunks that were not copied exactly once. */
  wrong(): number {
    return this.#done.filter((times) => times !== 1).length;
  }
}

export interface HistoryFacts {
  readonly events: number;
  /** Bytes of the largest payload. */
  readonly payload: number;
  /** Workflow ids of the children. */
  readonly children: readonly string[];
}

/** Measures a history in the units of the server's limits. */
export async function historyFacts(handle: WorkflowHandle): Promise<HistoryFacts> {
  const { events = [] } = await handle.fetchHistory();
  let payload = 0;
  for (const bytes of payloadsOf(events)) payload = Math.max(payload, bytes.length);
  const children = (events ?? []).flatMap(({ startChildWorkflowExecutionInitiatedEventAttributes: child }) =>
    child?.workflowId == null ? [] : [child.workflowId],
  );
  return { events: events?.length ?? 0, payload, children };
}

function* payloadsOf(value: unknown): Iterable<Uint8Array> {
  if (value instanceof Uint8Array) yield value;
  else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) yield* payloadsOf(part);
  }
}

/** Returns the part of a plan that a child copies, with which its id ends; the plan is called `1`. */
export const stretchOf = (childId: string): string => childId.replace(/^.*?\/1\//, '');
