import { closeOnSignals } from './close-on-signals.ts';
import { devGuide } from './dev-guide.ts';
import { lookAtDatabases } from './look-at-databases.ts';
import { startStack, startingLine, type LocalStack, type StackOptions } from './stack.ts';
import { taskQueueOf } from './task-queue.ts';
import { presentTemporalCli } from './temporal-cli.ts';
import { startWorkerProcess } from './worker-process.ts';

const MISSING_SOURCE = `SOURCE_DATABASE_URL is not set. "npm run dev" extracts from a database of yours, for example
  SOURCE_DATABASE_URL=postgresql://user:password@host:5432/database npm run dev
To see it at work without one: npm run demo`;

async function main(): Promise<void> {
  const sourceUrl = process.env['SOURCE_DATABASE_URL'];
  if (!sourceUrl) throw new Error(MISSING_SOURCE);
  const options: StackOptions = {
    sourceUrl,
    warehouseUrl: process.env['WAREHOUSE_DATABASE_URL'],
    ui: true,
  };
  console.error(startingLine(options, 'a worker'));
  const stack = await startStack(options);
  try {
    await runWorker(stack);
  } catch (error) {
    await stack.close();
    throw error;
  }
}

async function runWorker(stack: LocalStack): Promise<void> {
  const taskQueue = process.env['DATAKIT_TASK_QUEUE'] || taskQueueOf(stack, 'dev');
  const env = { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: taskQueue };
  const looking = lookAtDatabases({ ...process.env, ...env }).catch(() => undefined);
  const worker = await startWorkerProcess({ env, onLine: (line) => console.error(line) });
  let closing = false;
  closeOnSignals({
    close: async () => {
      closing = true;
      await worker.stop();
      await stack.close();
    },
  });
  const cli = stack.temporal?.cli ?? (await presentTemporalCli());
  console.log(devGuide({ stack, taskQueue, cli, found: await looking }));
  const { code, signal } = await worker.exited;
  if (!closing) throw new Error(`the worker exited unexpectedly (${signal ?? `code ${code}`})`);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
