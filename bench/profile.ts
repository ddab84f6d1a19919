import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startStack, type LocalStack } from '../local/stack.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { build } from './build.ts';
import { eventsCase } from './cases.ts';
import { query } from './execute.ts';
import { Extractor } from './extractor.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';
import { timed } from './timed.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 2_000_000);
const LOOK_EVERY_MS = 20;

/** What the sessions of a copy wait for, what is written of the log and why, and where the worker spends its time. */
export async function benchProfile(): Promise<void> {
  const profiles = await mkdtemp(join(tmpdir(), 'bench-profile-'));
  await build();
  // what is started from here on inherits it: the worker
  process.env['NODE_OPTIONS'] = `--require ${join(import.meta.dirname, 'cpu-profile.cjs')}`;
  process.env['CPU_PROFILES'] = profiles;
  const stack = await startStack({ ui: false });
  try {
    await eventsCase(stack.sourceUrl, ROWS);
    const extractor = await Extractor.start(stack);
    delete process.env['NODE_OPTIONS'];
    await extractor.table({ table: 'events', parallelism: 4 });
    await settle(stack);
    const wal = await walStatistics(stack);
    const source = await WaitSampler.start(stack.sourceUrl);
    const warehouse = await WaitSampler.start(stack.warehouseUrl);
    const { milliseconds } = await timed(async () => extractor.table({ table: 'events', parallelism: 4 }));
    say(`${ROWS.toLocaleString('en-US')} rows, parallelism 4: ${formatDuration(milliseconds)}`);
    for (const [name, sampler] of Object.entries({ source, warehouse })) {
      say(`\n${name}: what sessions that COPY were seen at\n${await sampler.stop()}`);
    }
    const after = await walStatistics(stack);
    say(`\nwarehouse, write-ahead log: ${formatBytes(after.bytes - wal.bytes)} of which whole pages ${after.fpi - wal.fpi} × 8 kB, ${after.records - wal.records} records, buffers full ${after.full - wal.full}×`); // prettier-ignore
    await extractor.stop();
    say(`\nworker\n${await hottest(profiles)}`);
  } finally {
    await stack.close();
    await rm(profiles, { recursive: true, force: true });
  }
}

interface WalStatistics {
  readonly bytes: number;
  readonly fpi: number;
  readonly records: number;
  readonly full: number;
}

async function walStatistics({ warehouseUrl }: LocalStack): Promise<WalStatistics> {
  const [row] = await query<Record<keyof WalStatistics, string>>(
    warehouseUrl,
    'SELECT wal_bytes AS bytes, wal_fpi AS fpi, wal_records AS records, wal_buffers_full AS full FROM pg_stat_wal',
  );
  return {
    bytes: Number(row?.bytes),
    fpi: Number(row?.fpi),
    records: Number(row?.records),
    full: Number(row?.full),
  };
}

/** Looks again and again what the sessions that copy wait for. */
class WaitSampler {
  readonly #client: Client;
  readonly #seen = new Map<string, number>();
  #stopped = false;
  #sampling: Promise<void> = Promise.resolve();

  private constructor(client: Client) {
    this.#client = client;
  }

  static async start(url: string): Promise<WaitSampler> {
    const client = new Client(url);
    await client.connect();
    const sampler = new WaitSampler(client);
    sampler.#sampling = sampler.#sample();
    return sampler;
  }

  async stop(): Promise<string> {
    this.#stopped = true;
    await this.#sampling;
    await this.#client.end();
    const total = [...this.#seen.values()].reduce((sum, count) => sum + count, 0);
    return [...this.#seen]
      .toSorted(([, a], [, b]) => b - a)
      .map(([event, count]) => `  ${((100 * count) / total).toFixed(1).padStart(5)} %  ${event}`)
      .join('\n');
  }

  async #sample(): Promise<void> {
    while (!this.#stopped) {
      const { rows } = await this.#client.query<{ event: string; count: number }>(
        `SELECT coalesce(wait_event_type || ': ' || wait_event, 'at work (CPU)') AS event, count(*)::int AS count
           FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query ILIKE '%COPY%' GROUP BY 1`,
      );
      for (const { event, count } of rows) this.#seen.set(event, (this.#seen.get(event) ?? 0) + count);
      await sleep(LOOK_EVERY_MS);
    }
  }
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
}

/** The functions that the main thread of the worker was seen in most. */
async function hottest(directory: string): Promise<string> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'));
  const profiles = await Promise.all(
    files.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile),
  );
  const main = profiles.toSorted((a, b) => b.samples.length - a.samples.length)[0];
  if (main === undefined) return '  no profile was written';
  const names = new Map(
    main.nodes.map(({ id, callFrame }) => [
      id,
      `${callFrame.functionName || '(anonymous)'} ${callFrame.url.split('/').slice(-2).join('/')}`,
    ]),
  );
  const counts = new Map<string, number>();
  for (const id of main.samples) {
    const name = names.get(id) ?? '';
    if (!name.startsWith('(idle)')) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 15)
    .map(([name, count]) => `  ${((100 * count) / total).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
}
