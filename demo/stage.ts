import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { startStack, type LocalStack } from '../local/stack.ts';
import { taskQueueOf } from '../local/task-queue.ts';
import { startWorkerProcess, type WorkerProcess } from '../local/worker-process.ts';
import type { Closing } from '../local/closing.ts';
import { withoutProxyOnLoopback } from '../src/runtime/direct-connection.ts';

/** Everything the demo uses: a source, a warehouse, Temporal, a worker, and a client to start runs. */
export interface Stage {
  readonly stack: LocalStack;
  readonly worker: WorkerProcess;
  readonly client: Client;
  readonly taskQueue: string;
}

/** Starts the servers. The databases are always our own, because the demo drops tables. */
export function startServers(closing: Closing): Promise<LocalStack> {
  return closing.adopt(startStack({ ui: true }), (stack) => stack.close());
}

export async function startWorker(closing: Closing, stack: LocalStack): Promise<Stage> {
  const taskQueue = taskQueueOf(stack, 'demo');
  const env = { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: taskQueue };
  const worker = await closing.adopt(startWorkerProcess({ env }), (started) => started.stop());
  return { stack, worker, client: await connectClient(stack), taskQueue };
}

/**
 * The connection closes with our process. Closing it while a run is still awaited would cause an uncaught
 * "Channel has been shut down": the client's retries are timers that nothing clears.
 */
async function connectClient(stack: LocalStack): Promise<Client> {
  const { connectionOptions } = loadClientConnectConfig({ overrideEnvVars: stack.workerEnvironment });
  const connection = await Connection.connect(withoutProxyOnLoopback(connectionOptions));
  return new Client({ connection, namespace: stack.temporalNamespace });
}

/** Throws if the worker ends: without one the runs would wait forever. */
export async function failWhenEnded(worker: WorkerProcess): Promise<never> {
  const { code, signal } = await worker.exited;
  const lastLines = worker.output().split('\n').slice(-20).join('\n');
  throw new Error(`the worker exited unexpectedly (${signal ?? `code ${code}`}):\n${lastLines}`);
}
