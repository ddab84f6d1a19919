import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalStack } from '../local/stack.ts';
import type { CaptureStatus } from '../src/contract/capture-changes.ts';
import { execute, query } from './execute.ts';
import type { Extractor } from './extractor.ts';
import { allChanges, pgbench } from './loads.ts';
import type { Lag } from './result.ts';
import { say } from './say.ts';

const SECONDS = 30;
const TRANSACTIONS_A_SECOND = 1000;
/** Time for work in progress to settle, before and after the load. */
const MEANWHILE_MS = 3_000;

/** Enables commit timestamps, which lag is measured by; this takes a restart of the server. */
export async function commitTimesAreKept({ warehouse, warehouseUrl }: LocalStack): Promise<void> {
  await execute(warehouseUrl, 'ALTER SYSTEM SET track_commit_timestamp = on');
  await warehouse?.stop('fast');
  await warehouse?.start();
}

/** Measures lag from commit in the source to commit in the warehouse, both by this machine's clock. */
export async function measureLag(
  { sourceUrl, warehouseUrl }: LocalStack,
  extractor: Extractor,
): Promise<Lag> {
  const handle = await extractor.start('captureChanges', { ...allChanges, heartbeat: '1 second' });
  // changes written before the stream runs would only show how long a workflow takes to start
  while ((await handle.query<CaptureStatus>('status')).phase !== 'streaming') await sleep(100);
  await sleep(MEANWHILE_MS);
  await execute(
    warehouseUrl,
    "CREATE TABLE mark AS SELECT coalesce(max(commit_lsn), '0/0') AS lsn FROM bronze.cdc_changes",
  );
  await pgbench(sourceUrl, [`--rate=${TRANSACTIONS_A_SECOND}`, '--client=16', `--time=${SECONDS}`]);
  await sleep(MEANWHILE_MS);
  const lag = await readLag(warehouseUrl);
  say(`  lag: ${lag.median.toFixed(3)} s, 95 %: ${lag.p95.toFixed(3)} s, at ${lag.rate} transactions/s`);
  await handle.cancel();
  await handle.result().catch(() => undefined);
  return lag;
}

async function readLag(url: string): Promise<Lag> {
  const [row] = await query<{ median: number; p95: number; p99: number; most: number; transactions: number }>(
    url,
    `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lag) AS median, percentile_cont(0.95) WITHIN GROUP (ORDER BY lag) AS p95,
            percentile_cont(0.99) WITHIN GROUP (ORDER BY lag) AS p99, max(lag) AS most, count(*)::int AS transactions
       FROM (SELECT DISTINCT ON (commit_lsn) extract(epoch FROM pg_xact_commit_timestamp(xmin) - timestamp)::float8 AS lag
               FROM bronze.cdc_changes WHERE commit_lsn > (SELECT lsn FROM mark) AND timestamp IS NOT NULL) AS lags`,
  );
  if (row === undefined || row.transactions === 0) throw new Error('no pgbench change reached the warehouse');
  const { transactions, ...lag } = row;
  return { ...lag, seconds: SECONDS, rate: Math.round(transactions / SECONDS) };
}
