import { existsSync } from 'node:fs';
import { Context } from '@temporalio/activity';
import { Worker, type NativeConnection, type State, type WorkerOptions } from '@temporalio/worker';
import {
  createActivities,
  createLastingActivities,
  createStreamActivities,
} from '../activities/create-activities.ts';
import type { Dependencies } from '../activities/dependencies.ts';
import type { Configuration } from '../config/environment.ts';
import { snapshotTaskQueue, streamTaskQueue } from '../contract/task-queues.ts';
import { MOST_STREAMS } from './connect-databases.ts';
import { dataConverterOf } from './encryption-codec.ts';
import { searchAttributesOf } from './search-attributes.ts';
import type { Tracing } from './tracing.ts';
import { bundlerOptions, encryptedBundlePath, workflowBundlePath, workflowsPath } from './workflow-code.ts';

export interface WorkersOptions extends Pick<
  Configuration,
  'taskQueue' | 'maxConcurrentActivities' | 'maxConcurrentSnapshots' | 'encryptionKeys'
> {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly dependencies: Dependencies;
  /** Given if traces are wanted. */
  readonly tracing?: Tracing | undefined;
  /** Given if many workers share a bundle, as in the tests; else the build's is used or the sources are bundled. */
  readonly workflowBundle?: NonNullable<WorkerOptions['workflowBundle']>;
}

/** Creates the workers of a process: one for workflows and copies, one for snapshots, one for streams. */
export async function createWorkers(options: WorkersOptions): Promise<Worker[]> {
  const { connection, namespace, taskQueue, maxConcurrentActivities } = options;
  const dependencies: Dependencies = {
    ...options.dependencies,
    // whoever is cancelled meanwhile need not wait for a migration that waits for a lock, or for a standby
    ready: async () => Promise.race([options.dependencies.ready(), Context.current().cancelled]),
    searchAttributesKnown: searchAttributesOf(connection, namespace),
  };
  const common = {
    connection,
    namespace,
    dataConverter: dataConverterOf(options.encryptionKeys),
    shutdownGraceTime: '10 seconds',
    // heartbeats carry cancellations back, and a cancelled run must free its sessions within seconds
    maxHeartbeatThrottleInterval: '1 second',
    ...(options.tracing !== undefined && { plugins: [options.tracing.plugin] }),
    defaultHeartbeatThrottleInterval: '1 second',
  } as const;
  const main = await createStoppable(dependencies, createActivities, {
    ...common,
    taskQueue,
    ...(options.workflowBundle === undefined
      ? workflowSource(options)
      : { workflowBundle: options.workflowBundle }),
    maxConcurrentActivityTaskExecutions: maxConcurrentActivities,
    // how long a workflow task waits for a worker that is gone before another gets it: well below the grace period
    // in which a snapshot is handed over
    stickyQueueScheduleToStartTimeout: '3 seconds',
  });
  const snapshots = await createStoppable(dependencies, createLastingActivities, {
    ...common,
    taskQueue: snapshotTaskQueue(taskQueue),
    maxConcurrentActivityTaskExecutions: options.maxConcurrentSnapshots,
  });
  const streams = await Worker.create({
    ...common,
    taskQueue: streamTaskQueue(taskQueue),
    activities: createStreamActivities(dependencies),
    maxConcurrentActivityTaskExecutions: MOST_STREAMS,
    shutdownGraceTime: '0 seconds',
  });
  return [main, snapshots, streams];
}

const BEFORE_STOPPING: ReadonlySet<State> = new Set<State>(['INITIALIZED', 'RUNNING']);

/** Creates a worker whose activities can tell that it is stopping before its grace period ends and cancels them. */
async function createStoppable(
  dependencies: Dependencies,
  activitiesOf: (dependencies: Dependencies) => object,
  options: WorkerOptions,
): Promise<Worker> {
  let worker: Worker | undefined;
  const isStopping = () => worker !== undefined && !BEFORE_STOPPING.has(worker.getState());
  worker = await Worker.create({ ...options, activities: activitiesOf({ ...dependencies, isStopping }) });
  return worker;
}

/** Uses the bundle of a build, or the sources: in a checkout, and for traces, which no bundle of a build can make. */
function workflowSource({
  tracing,
  encryptionKeys,
}: WorkersOptions): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath' | 'bundlerOptions'> {
  const codePath = encryptionKeys.length === 0 ? workflowBundlePath : encryptedBundlePath;
  return tracing === undefined && existsSync(codePath)
    ? { workflowBundle: { codePath } }
    : { workflowsPath, bundlerOptions };
}
