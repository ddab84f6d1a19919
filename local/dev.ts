import { relative } from 'node:path';
import { closeOnSignals } from './close-on-signals.ts';
import { startStack, type LocalStack } from './stack.ts';
import { taskQueueOf } from './task-queue.ts';
import { startWorkerProcess } from './worker-process.ts';

const MISSING_SOURCE = `SOURCE_DATABASE_URL is not set. "npm run dev" extracts from a database of yours, for example
  SOURCE_DATABASE_URL=postgresql://user:password@host:5432/database npm run dev
To see it at work without one: npm run demo`;

async function main(): Promise<void> {
  const sourceUrl = process.env['SOURCE_DATABASE_URL'];
  if (!sourceUrl) throw new Error(MISSING_SOURCE);
  const stack = await startStack({
    sourceUrl,
    warehouseUrl: process.env['WAREHOUSE_DATABASE_URL'],
    ui: true,
  });
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
  const worker = await startWorkerProcess({ env, onLine: (line) => console.error(line) });
  let closing = false;
  closeOnSignals({
    close: async () => {
      closing = true;
      await worker.stop();
      await stack.close();
    },
  });
  console.log(describe(stack, taskQueue));
  const { code, signal } = await worker.exited;
  if (!closing) throw new Error(`the worker exited unexpectedly (${signal ?? `code ${code}`})`);
}

function describe(stack: LocalStack, taskQueue: string): string {
  const { temporal, temporalAddress, temporalNamespace, warehouse } = stack;
  const addresses = [
    `Temporal   ${temporalAddress}, namespace ${temporalNamespace}`,
    `Task queue ${taskQueue}`,
    temporal?.uiUrl && `Web UI     ${temporal.uiUrl}`,
    warehouse && `Warehouse  ${stack.warehouseUrl}  (temporary: it is deleted when this ends)`,
  ].filter(Boolean);
  const cli = temporal === undefined ? 'temporal' : shortest(temporal.cli);
  return `
${addresses.join('\n')}

Extract a table:
  ${cli} workflow start --address ${temporalAddress} --namespace ${temporalNamespace} \\
    --type extractTable --task-queue ${taskQueue} --input '{"table": "orders"}'

Ctrl-C stops everything.
`;
}

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : `./${fromHere}`;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
