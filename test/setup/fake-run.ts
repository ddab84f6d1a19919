import { randomBytes } from 'node:crypto';
import { Client, Connection, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { inject } from 'vitest';
import type { Activities } from '../../src/contract/activities.ts';
import type { PlanSummary } from '../../src/contract/plan-summary.ts';
import type { HeldSnapshot, Snapshot } from '../../src/contract/snapshot.ts';
import type {
  CaptureActivities,
  PreparedCapture,
  StreamOutcome,
  TriedTable,
} from '../../src/contract/capture-activities.ts';
import type { CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import type { ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { summarize } from '../../src/contract/check-source.ts';
import { foundOf } from '../../src/contract/maintain-bronze.ts';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { snapshotTaskQueue, streamTaskQueue } from '../../src/contract/task-queues.ts';
import type { captureChanges, extractDatabase, extractTable } from '../../src/workflows/index.ts';
import { closeConnection } from './close-connection.ts';
import './quiet.ts';

export const planOf = (chunks: number, planId = '1'): PlanSummary => ({
  planId,
  target: 'bronze.br_orders',
  chunks,
  partitions: [{ name: 'orders', chunks }],
  partitionCount: 1,
  warnings: [],
});

/** Fakes of all activities that succeed without a database, for what a real one cannot be made to do at will. */
const harmless: Activities & Pick<CaptureActivities, 'copySmallTables'> = {
  checkSource: async ({ source }) => summarize(source, []),
  maintainBronze: async ({ dryRun }) => ({
    dryRun,
    runs: foundOf([]),
    stagingTables: foundOf([]),
    ledgerRows: 0,
    leftAlone: 0,
    locked: foundOf([]),
  }),
  planExtraction: async () => planOf(1),
  holdSnapshot: async ({ holder }) => {
    await signalSnapshot(holder, '00000003-1');
    await untilCancelled();
  },
  copyChunks: async ({ count }) => ({ rows: count, bytes: count }),
  commitBronze: async () => ({ outcome: 'committed', rows: 0, bytes: 0 }),
  discardStaging: async () => undefined,
  pauseCopies: async () => undefined,
  watchProgress: async () => untilCancelled(),
  resolveTables: async () => ({
    count: 1,
    incremental: 0,
    newTables: { count: 0, names: [] },
    vanishedTables: { count: 0, names: [] },
    warnings: [],
  }),
  readMembers: async () => [{ table: 'public.orders', bytes: 1, large: false }],
  limitIncrements: async () => undefined,
  copyTables: async ({ members }) => ({
    tables: members.map((member) => ({ member, outcome: 'committed', rows: 1, bytes: 1 })),
  }),
  steerTables: async () => undefined,
  closeDatabaseRun: async () => undefined,
  copySmallTables: async ({ tables }) => tables.map(() => leftAlone),
};

/** What a pack says of a table that is left to activities of its own. */
const leftAlone: TriedTable = { outcome: 'alone', rows: 0, bytes: 0, warnings: [] };

/** Heartbeats until cancelled, and then fails as a cancelled activity does. */
export async function untilCancelled(): Promise<never> {
  const context = Context.current();
  const heart = setInterval(() => context.heartbeat(), 50);
  try {
    return await context.cancelled;
  } finally {
    clearInterval(heart);
  }
}

/** Signals a snapshot to the workflow, as a holder does. */
export async function signalSnapshot(
  holder: string,
  id: string,
  {
    takenAt = '2026-01-01T00:00:00Z',
    ...more
  }: Pick<HeldSnapshot, 'leaving'> & Partial<Pick<Snapshot, 'takenAt'>> = {},
): Promise<void> {
  const { client, info } = Context.current();
  const { workflowId, runId } = info.workflowExecution ?? { workflowId: '', runId: '' };
  const held: HeldSnapshot = {
    holder,
    worker: 'a worker',
    snapshot: { id, takenAt },
    ...more,
  };
  await client.workflow.getHandle(workflowId, runId).signal('snapshotExported', held);
}

/** Signals to the workflow how far a stream is, as the stream does. */
export async function signalSlotLag(slotLagBytes: number): Promise<void> {
  const { client, info } = Context.current();
  const { workflowId, runId } = info.workflowExecution ?? { workflowId: '', runId: '' };
  await client.workflow
    .getHandle(workflowId, runId)
    .signal('streamProgress', { ...nothingStreamed, slotLagBytes });
}

const nothingStreamed = {
  position: '0/1',
  transactions: 0,
  changes: 0,
  lagBytes: 0,
  lagSeconds: 0,
  changesPerSecond: 0,
  slotLagBytes: 0,
};

/** What a stream says that has nothing left to read. */
export const caughtUp: StreamOutcome = {
  ...nothingStreamed,
  reason: 'caught up',
  copyWanted: [],
  warnings: [],
};

/** What the preparation of a capture without tables, which streamed before, tells its workflow. */
export const prepared: PreparedCapture = {
  captureId: '1',
  outcome: 'resume',
  tables: [],
  written: { transactions: 0, changes: 0 },
  logEnd: '0/1',
  warnings: [],
};

/** Lends the snapshot of a slot until nobody needs it. */
export async function lendSlotSnapshot({ holder }: { readonly holder: string }): Promise<void> {
  await signalSnapshot(holder, '00000003-1');
  await untilCancelled();
}

type CaptureHandle = WorkflowHandleWithFirstExecutionRunId<typeof captureChanges>;
type Handle = WorkflowHandleWithFirstExecutionRunId<typeof extractTable>;
type DatabaseHandle = WorkflowHandleWithFirstExecutionRunId<typeof extractDatabase>;

/** Runs `extractTable` on a real Temporal server with the test's own activities, and codec if it has one. */
export async function withFakes(
  activities: Partial<Activities>,
  request: ExtractTableRequest,
  use: (handle: Handle) => Promise<void>,
  codec?: PayloadCodec,
): Promise<void> {
  await withFakeWorkers(
    activities,
    async (client, taskQueue) =>
      use(await client.workflow.start<typeof extractTable>('extractTable', asked(taskQueue, request))),
    codec,
  );
}

/** Runs `extractDatabase` likewise. */
export async function withFakeDatabase(
  activities: Partial<Activities>,
  request: ExtractDatabaseRequest,
  use: (handle: DatabaseHandle) => Promise<void>,
  codec?: PayloadCodec,
): Promise<void> {
  await withFakeWorkers(
    activities,
    async (client, taskQueue) =>
      use(await client.workflow.start<typeof extractDatabase>('extractDatabase', asked(taskQueue, request))),
    codec,
  );
}

/** What a test has of its own, in place of what all share. */
interface OwnParts {
  readonly address?: string;
  readonly workflowBundle?: NonNullable<WorkerOptions['workflowBundle']>;
}

/** Runs `captureChanges` likewise, on a Temporal server and with workflows of the test's own if it has them. */
export async function withFakeCapture(
  activities: Partial<Activities & CaptureActivities>,
  request: CaptureChangesRequest,
  use: (handle: CaptureHandle) => Promise<void>,
  own: OwnParts = {},
): Promise<void> {
  await withFakeWorkers(
    activities,
    async (client, taskQueue) =>
      use(await client.workflow.start<typeof captureChanges>('captureChanges', asked(taskQueue, request))),
    undefined,
    own,
  );
}

/** Each run has a task queue of its own, which names it. */
const asked = <Request>(
  taskQueue: string,
  request: Request,
): { taskQueue: string; workflowId: string; args: [Request] } => ({
  taskQueue,
  workflowId: taskQueue,
  args: [request],
});

async function withFakeWorkers(
  activities: Partial<Activities & CaptureActivities>,
  use: (client: Client, taskQueue: string) => Promise<void>,
  codec?: PayloadCodec,
  {
    address = inject('temporalAddress'),
    workflowBundle = { codePath: inject('workflowBundle') },
  }: OwnParts = {},
): Promise<void> {
  const taskQueue = `fake-${randomBytes(6).toString('hex')}`;
  const [connection, native] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const { holdSnapshot, watchProgress, holdSlot, streamChanges, ...others } = { ...harmless, ...activities };
  const nobody = async () => untilCancelled();
  const common = {
    connection: native,
    namespace: 'default',
    maxHeartbeatThrottleInterval: 100,
    ...(codec !== undefined && { dataConverter: { payloadCodecs: [codec] } }),
  };
  const workers = [
    await Worker.create({
      ...common,
      taskQueue,
      workflowBundle,
      activities: others,
    }),
    await Worker.create({
      ...common,
      taskQueue: snapshotTaskQueue(taskQueue),
      activities: { holdSnapshot, watchProgress, holdSlot: holdSlot ?? nobody },
    }),
    await Worker.create({
      ...common,
      taskQueue: streamTaskQueue(taskQueue),
      activities: { streamChanges: streamChanges ?? nobody },
    }),
  ];
  const running = Promise.all(workers.map(async (worker) => worker.run()));
  const client = new Client({ connection });
  try {
    await use(client, taskQueue);
  } finally {
    for (const worker of workers) worker.shutdown();
    await running;
    await closeConnection(native);
    await connection.close();
  }
}
