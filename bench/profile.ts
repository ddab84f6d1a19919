import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import type { Bench } from './bench.ts';
import { build } from './build.ts';
import { eventsCase } from './cases.ts';
import { changeRows } from './catch-up.ts';
import { execute } from './execute.ts';
import { Extractor } from './extractor.ts';
import type { Profile, Section } from './result.ts';
import { countStatements, forgetStatements, longestStatements, walWritten } from './server-statistics.ts';
import { settle } from './settle.ts';
import { timelineOf } from './timeline.ts';
import { WaitSampler } from './wait-sampler.ts';
import { hottest, profileInto, profileNoMore } from './worker-profile.ts';

/** Runs to profile, each with its own worker. */
const works: readonly {
  readonly name: string;
  readonly request: ExtractTableRequest;
  readonly change: boolean;
}[] = [
  { name: 'a copy, parallelism 4', request: { table: 'events', parallelism: 4 }, change: false },
  {
    name: 'a merge of a hundredth',
    request: {
      table: 'events',
      target: 'br_merged',
      write: 'merge',
      incremental: { column: 'updated_at', lookback: 0 },
    },
    change: true,
  },
];

/** Shows what sessions wait for, the slowest statements, the WAL written, and where the worker spends its time. */
export async function profile({ stack, options }: Bench): Promise<Section> {
  await countStatements(stack);
  const { rows } = await eventsCase(stack.sourceUrl, options.rows ?? 1_000_000);
  await execute(stack.sourceUrl, 'CREATE INDEX ON events (updated_at)');
  const entries: Profile[] = [];
  for (const { name, request, change } of works) {
    const before = change ? async () => changeRows(stack.sourceUrl) : async () => undefined;
    entries.push({ work: name, ...(await profileRun(stack, request, before)) });
  }
  return {
    kind: 'profile',
    title: 'Where the time goes',
    about: `A table of ${rows.toLocaleString('en-US')} rows, after two warm-up runs. Sessions of both servers are sampled every 20 ms.`,
    entries,
  };
}

/** Profiles one run, after two warm-up runs. */
async function profileRun(
  stack: LocalStack,
  request: ExtractTableRequest,
  before: () => Promise<unknown>,
): Promise<Omit<Profile, 'work'>> {
  const profiles = await mkdtemp(join(tmpdir(), 'bench-profile-'));
  await build();
  profileInto(profiles);
  const extractor = await Extractor.start(stack).finally(profileNoMore);
  try {
    for (let warmUp = 0; warmUp < 2; warmUp += 1) {
      await extractor.table(request);
      await before();
    }
    await settle(stack);
    const observed = await observe(stack, async () => extractor.start('extractTable', request));
    await extractor.stop();
    return { ...observed, worker: (await hottest(profiles)).slice(0, 8) };
  } finally {
    await rm(profiles, { recursive: true, force: true });
  }
}

async function observe(
  stack: LocalStack,
  start: () => ReturnType<Extractor['start']>,
): Promise<Omit<Profile, 'work' | 'worker'>> {
  const urls = { source: stack.sourceUrl, warehouse: stack.warehouseUrl };
  for (const url of Object.values(urls)) await forgetStatements(url);
  const before = await walWritten(stack);
  const samplers = {
    source: await WaitSampler.start(urls.source),
    warehouse: await WaitSampler.start(urls.warehouse),
  };
  const handle = await start();
  await handle.result();
  const waits = { source: await samplers.source.stop(), warehouse: await samplers.warehouse.stop() };
  const after = await walWritten(stack);
  return {
    timeline: await timelineOf(handle),
    waits,
    statements: {
      source: await longestStatements(urls.source, 4),
      warehouse: await longestStatements(urls.warehouse, 8),
    },
    wal: {
      bytes: after.bytes - before.bytes,
      pages: after.pages - before.pages,
      records: after.records - before.records,
      full: after.full - before.full,
    },
  };
}
