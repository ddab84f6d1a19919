import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { startStack, type LocalStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type {
  CaptureChangesRequest,
  CaptureChangesResult,
  CaptureStatus,
} from '../src/contract/capture-changes.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { build } from './build.ts';
import { execute, query } from './execute.ts';
import { peakMemory } from './process-times.ts';
import { say } from './say.ts';
import { median } from './statistics.ts';
import { timed } from './timed.ts';

/** Changes of a round; of all rounds together five million. */
const CHANGES = Number(process.env['BENCH_CHANGES'] ?? 1_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
/** Seconds of pgbench at 1,000 transactions a second; none where 0. */
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 60);
/** Rows of one transaction; none where 0. */
const LARGE = Number(process.env['BENCH_LARGE'] ?? 1_000_000);
/** Minutes in which nothing is written, to count what a history grows by. What it does comes every half hour. */
const IDLE_MINUTES = Number(process.env['BENCH_IDLE_MINUTES'] ?? 0);
const CYCLE_MINUTES = 30;
const TASK_QUEUE = 'bench-cdc';
const SLOT = 'bench';
const REFERENCE = 'bench_reference';
const run = promisify(execFile);

const request: CaptureChangesRequest = {
  tables: ['public.*'],
  slot: SLOT,
  publication: SLOT,
  initialCopy: false,
};

/** The same content of a slot, read to a file by pg_recvlogical and into bronze by captureChanges; then lag, then memory. */
export async function benchChanges(): Promise<void> {
  await build();
  const stack = await startStack({ ui: false });
  try {
    // the moment of a commit, to measure lag by
    await execute(stack.warehouseUrl, 'ALTER SYSTEM SET track_commit_timestamp = on');
    await stack.warehouse?.stop('fast');
    await stack.warehouse?.start();
    await prepare(stack);
    const env = { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE };
    const worker = await startWorkerProcess({ env, entry: process.env['BENCH_WORKER'] ?? 'dist/worker.js' });
    const connection = await Connection.connect({ address: stack.temporalAddress });
    const capture = new BenchCapture(new TemporalClient({ connection }));
    await capture.catchUp();
    await execute(stack.sourceUrl, `SELECT pg_create_logical_replication_slot('${REFERENCE}', 'pgoutput')`);
    await compareRates(stack, capture, worker.pid);
    if (LARGE > 0) await largeTransaction(stack, capture, worker.pid);
    await execute(stack.sourceUrl, `SELECT pg_drop_replication_slot('${REFERENCE}')`);
    if (SECONDS > 0) await measureLag(stack, capture);
    if (IDLE_MINUTES > 0) await countIdleEvents(capture);
    await worker.stop();
    await connection.close();
  } finally {
    await stack.close();
  }
}

class BenchCapture {
  readonly #client: TemporalClient;
  #runs = 0;

  constructor(client: TemporalClient) {
    this.#client = client;
  }

  async start(changes: Partial<CaptureChangesRequest> = {}) {
    this.#runs += 1;
    return this.#client.workflow.start<(input: CaptureChangesRequest) => Promise<CaptureChangesResult>>(
      'captureChanges',
      { taskQueue: TASK_QUEUE, workflowId: `bench-${this.#runs}`, args: [{ ...request, ...changes }] },
    );
  }

  async catchUp(): Promise<CaptureChangesResult> {
    return (await this.start({ until: 'caught-up' })).result();
  }
}

async function prepare({ sourceUrl }: LocalStack): Promise<void> {
  await execute(
    sourceUrl,
    `CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind text, amount numeric(12,2), payload jsonb)`,
  );
  await run('pgbench', ['--initialize', '--scale=10', '--quiet', sourceUrl]);
  await execute(sourceUrl, 'ALTER TABLE pgbench_history ADD PRIMARY KEY (tid, bid, aid, mtime)').catch(
    () => undefined,
  );
  await execute(sourceUrl, 'ALTER TABLE pgbench_history REPLICA IDENTITY FULL');
}

/** The rate of each round, and the memory that the worker had at the most in it: it must not grow from round to round. */
async function compareRates(stack: LocalStack, capture: BenchCapture, worker: number): Promise<void> {
  if (ROUNDS === 0) return;
  const ratios: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const end = await writeEvents(stack.sourceUrl, round);
    const { milliseconds: reference } = await timed(async () => receive(stack.sourceUrl, end));
    await forgetPeak(worker);
    const { milliseconds: ours } = await timed(async () => capture.catchUp());
    const ratio = reference / ours;
    ratios.push(ratio);
    say(
      `round ${round}: pg_recvlogical ${rate(reference)}, captureChanges ${rate(ours)} (${formatDuration(ours)}), ratio ${ratio.toFixed(2)}, peak memory of the worker ${formatBytes(await peakMemory(worker))}`,
    );
  }
  say(`median ratio: ${median(ratios).toFixed(2)}`);
}

const rate = (milliseconds: number): string =>
  `${Math.round((CHANGES / milliseconds) * 1000).toLocaleString('en-US')} changes/s`;

/** Transactions of a hundred changes. */
async function writeEvents(url: string, round: number): Promise<string> {
  await execute(
    url,
    `DO $$ BEGIN
    FOR batch IN 0..${CHANGES / 100 - 1} LOOP
      INSERT INTO events SELECT ${round * 100_000_000} + batch * 100 + i, now(), 'kind ' || i, i * 1.25, jsonb_build_object('n', i, 'token', md5(i::text))
        FROM generate_series(1, 100) i;
      COMMIT;
    END LOOP; END $$`,
  );
  const [end] = await query<{ lsn: string }>(url, 'SELECT pg_current_wal_lsn()::text AS lsn');
  return end?.lsn ?? '';
}

async function receive(url: string, end: string): Promise<void> {
  const file = join(tmpdir(), `datakit-postgres-bench-${process.pid}`);
  const options = ['-o', 'proto_version=1', '-o', `publication_names=${SLOT}`];
  await run('pg_recvlogical', [
    '-d',
    url,
    '-S',
    REFERENCE,
    '--start',
    '-f',
    file,
    `--endpos=${end}`,
    '-n',
    ...options,
  ]);
  await rm(file);
}

async function largeTransaction(
  { sourceUrl }: LocalStack,
  capture: BenchCapture,
  worker: number,
): Promise<void> {
  await forgetPeak(worker);
  await execute(
    sourceUrl,
    `INSERT INTO events SELECT -i, now(), 'large', i, '{}' FROM generate_series(1, ${LARGE}) i`,
  );
  const { milliseconds: took } = await timed(async () => capture.catchUp());
  say(
    `a transaction of ${LARGE.toLocaleString('en-US')} rows: ${formatDuration(took)}, peak memory of the worker ${formatBytes(await peakMemory(worker))}`,
  );
}

/** Linux counts the peak anew from here on; elsewhere it is not known at all. */
async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined);
}

/**
 * From the commit in the source to the commit in the warehouse, both by the clock of this machine.
 *
 * The commits of pgbench do not wait for its disk, so that it has the rate that is asked for on a machine that all share.
 */
async function measureLag({ sourceUrl, warehouseUrl }: LocalStack, capture: BenchCapture): Promise<void> {
  const handle = await capture.start({ heartbeat: '1 second' });
  // what is written before the stream runs would only tell how long a workflow takes to start
  for (;;) {
    const { phase } = await handle.query<CaptureStatus>('status');
    if (phase === 'streaming') break;
    await sleep(100);
  }
  await sleep(3_000);
  await execute(
    warehouseUrl,
    "CREATE TABLE mark AS SELECT coalesce(max(commit_lsn), '0/0') AS lsn FROM bronze.cdc_changes",
  );
  const generator = ['--rate=1000', '--client=16', '--jobs=2', '--protocol=prepared', `--time=${SECONDS}`];
  await run('pgbench', [...generator, '--no-vacuum', sourceUrl], {
    env: { ...process.env, PGOPTIONS: '-c synchronous_commit=off' },
  });
  await sleep(3_000);
  const rows = await query<{ p50: number; p95: number; transactions: number }>(
    warehouseUrl,
    `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lag) * 1000 AS p50, percentile_cont(0.95) WITHIN GROUP (ORDER BY lag) * 1000 AS p95,
            count(*)::int AS transactions
       FROM (SELECT DISTINCT ON (commit_lsn) extract(epoch FROM pg_xact_commit_timestamp(xmin) - timestamp)::float8 AS lag
               FROM bronze.cdc_changes WHERE commit_lsn > (SELECT lsn FROM mark) AND timestamp IS NOT NULL) AS lags`,
  );
  const { p50 = 0, p95 = 0, transactions = 0 } = rows[0] ?? {};
  say(
    `pgbench: ${Math.round(transactions / SECONDS)} transactions/s, lag ${formatDuration(p50)} in the middle, ${formatDuration(p95)} at the 95th percentile`,
  );
  await handle.cancel();
  await handle.result().catch(() => undefined);
}

/** Events of the history while nothing is written, in whole cycles of what a capture does anyway. */
async function countIdleEvents(capture: BenchCapture): Promise<void> {
  const handle = await capture.start();
  await sleep(IDLE_MINUTES * 60_000);
  const { events } = await handle.fetchHistory();
  const cycles = Math.floor(IDLE_MINUTES / CYCLE_MINUTES);
  const minutes = cycles === 0 ? IDLE_MINUTES : cycles * CYCLE_MINUTES;
  const since = Date.now() / 1000 - minutes * 60;
  const counted = (events ?? []).filter(({ eventTime }) => Number(eventTime?.seconds ?? 0) >= since).length;
  const aDay = Math.round((counted * 24 * 60) / minutes);
  say(`idle: ${counted} history events in ${minutes} minutes, so ${aDay} a day`);
  await handle.cancel();
  await handle.result().catch(() => undefined);
}
