import { secretNamed } from '../src/config/secrets.ts';
import { withoutEmpty } from '../src/config/variables.ts';
import { closeOnSignals } from './close-on-signals.ts';
import { Closing } from './closing.ts';
import { devGuide } from './dev-guide.ts';
import { lookAtDatabases } from './look-at-databases.ts';
import { startStack, startingLine, type LocalStack, type StackOptions } from './stack.ts';
import { taskQueueOf } from './task-queue.ts';
import { presentTemporalCli } from './temporal-cli.ts';
import { startWorkerProcess } from './worker-process.ts';

const MISSING_SOURCE = `SOURCE_DATABASE_URL is not set. "npm run dev" extracts from a database of yours, for example
  SOURCE_DATABASE_URL=postgresql://user:password@host:5432/database npm run dev
To see it at work without one: npm run demo`;

async function main(closing: Closing): Promise<void> {
  const sourceUrl = takeUrl('SOURCE_DATABASE_URL');
  if (sourceUrl === undefined) throw new Error(MISSING_SOURCE);
  const options: StackOptions = { sourceUrl, warehouseUrl: takeUrl('WAREHOUSE_DATABASE_URL'), ui: true };
  console.error(startingLine(options, 'a worker'));
  await runWorker(closing, await closing.adopt(startStack(options), (stack) => stack.close()));
}

/** Reads a URL from our environment, or from the file that it names; our worker is given all URLs themselves. */
function takeUrl(name: string): string | undefined {
  const url = secretNamed(withoutEmpty(process.env), name)();
  delete process.env[`${name}_FILE`];
  return url;
}

async function runWorker(closing: Closing, stack: LocalStack): Promise<never> {
  const taskQueue = process.env['DATAKIT_TASK_QUEUE'] || taskQueueOf(stack, 'dev');
  const env = { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: taskQueue };
  const looking = lookAtDatabases({ ...process.env, ...env }).catch(() => undefined);
  const starting = startWorkerProcess({ env, onLine: (line) => console.error(line) });
  const worker = await closing.adopt(starting, (started) => started.stop());
  const cli = stack.temporal?.cli ?? (await presentTemporalCli());
  console.log(devGuide({ stack, taskQueue, cli, found: await looking }));
  const { code, signal } = await worker.exited;
  throw new Error(`the worker exited unexpectedly (${signal ?? `code ${code}`})`);
}

const closing = new Closing();
closeOnSignals(closing);
try {
  await main(closing);
} catch (error) {
  // A failure during shutdown is caused by it, and the signal decides the exit status.
  if (!closing.began) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    await closing.close();
  }
}
