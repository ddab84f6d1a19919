import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { chromium, type Browser, type Page } from 'playwright-core';
import { PROJECT_ROOT } from '../local/project-root.ts';
import { startStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';

/**
 * Takes the screenshots of docs/images from real runs, in Temporal's Web UI.
 *
 * Needs Chromium: Debian's package `chromium`, or the executable named by CHROMIUM.
 */
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const IMAGES = join(PROJECT_ROOT, 'docs/images');
const TASK_QUEUE = 'datakit-postgres';
const LOADED_WITHIN = 90_000;

const stack = await startStack({ ui: true });
try {
  await makeTables(stack.sourceUrl);
  const worker = await startWorkerProcess({
    env: {
      ...stack.workerEnvironment,
      DATAKIT_TASK_QUEUE: TASK_QUEUE,
      DATAKIT_REGISTER_SEARCH_ATTRIBUTES: 'true',
    },
  });
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const client = new TemporalClient({ connection });
  await mkdir(IMAGES, { recursive: true });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    await take(client, browser, stack.temporal?.uiUrl ?? '');
  } finally {
    await browser.close();
  }
  await worker.stop();
  await connection.close();
} finally {
  await stack.close();
}
process.exit(0);

async function makeTables(url: string): Promise<void> {
  const source = new Client(url);
  await source.connect();
  await source.query(`CREATE SCHEMA sales;
    CREATE TABLE sales.orders (id int, token text, updated_at timestamptz) PARTITION BY RANGE (id);
    CREATE TABLE sales.orders_1 PARTITION OF sales.orders FOR VALUES FROM (0) TO (300000);
    CREATE TABLE sales.orders_2 PARTITION OF sales.orders FOR VALUES FROM (300000) TO (900000);
    CREATE TABLE sales.orders_3 PARTITION OF sales.orders FOR VALUES FROM (900000) TO (1500001);
    INSERT INTO sales.orders SELECT i, md5(i::text), now() FROM generate_series(1, 1500000) i;
    CREATE TABLE sales.lines AS SELECT i AS id, md5(i::text) AS token FROM generate_series(1, 900000) i;
    CREATE TABLE customers AS SELECT i AS id, 'customer ' || i AS name FROM generate_series(1, 20000) i;
    CREATE TABLE broken AS SELECT 1 AS _bronze_run_id`);
  for (let number = 1; number <= 30; number += 1) {
    await source.query(`CREATE TABLE setting_${number} AS SELECT i AS id FROM generate_series(1, 100) i`);
  }
  await source.end();
}

/** Takes the screenshots of a run whose copies are limited to few bytes per second, so that it can be watched. */
async function take(client: TemporalClient, browser: Browser, ui: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  const handle = await client.workflow.start('extractDatabase', {
    taskQueue: TASK_QUEUE,
    workflowId: 'shop',
    args: [
      {
        tables: ['public.*', { table: 'sales.*', maxBytesPerSecond: '256kB', chunkSize: '4MB' }],
        parallelism: 4,
      },
    ],
  });
  await untilCopied(async () => (await handle.query<{ rows: number }>('progress')).rows > 200_000);
  const run = `${ui}/namespaces/default/workflows/shop/${handle.firstExecutionRunId}`;
  await shoot(page, `${run}/timeline`, 'run-of-many-tables.png', 'sales.orders');
  await shoot(page, `${run}/user-metadata`, 'details-of-a-run.png', 'User Metadata');
  const child = client.workflow.getHandle('shop/sales.orders');
  const { runId } = await child.describe();
  const ofTable = `${ui}/namespaces/default/workflows/${encodeURIComponent('shop/sales.orders')}/${runId}`;
  await shoot(page, `${ofTable}/user-metadata`, 'details-of-a-table.png', 'User Metadata');
  await shoot(page, `${ofTable}/history`, 'history-of-a-table.png', 'sales.orders');
  await shoot(page, `${ui}/namespaces/default/workflows`, 'list-of-runs.png', 'shop');
  await handle.cancel();
  await handle.result().catch(() => undefined);
}

async function untilCopied(enough: () => Promise<boolean>): Promise<void> {
  while (!(await enough())) await new Promise((resolve) => setTimeout(resolve, 500));
}

async function shoot(page: Page, url: string, file: string, text: string): Promise<void> {
  await page.goto(url, { timeout: LOADED_WITHIN });
  await page.getByText(text).first().waitFor({ timeout: LOADED_WITHIN });
  // for what is drawn after the text appears; Markdown has a frame of its own
  await page.waitForTimeout(5_000);
  await page.screenshot({ path: join(IMAGES, file) });
}
