import type { LocalStack } from '../local/stack.ts';
import { query } from './execute.ts';
import { cpuSeconds, ownChildrenCpuSeconds } from './process-times.ts';
import { forgetPeak, memoryOf, processTrees } from './process-tree.ts';
import type { Sample } from './result.ts';

/** Work in progress. */
export interface Running {
  /** The processes that do it, without their children. */
  readonly roots: readonly number[];
  readonly done: Promise<unknown>;
}

/** Often enough to catch a peak, rarely enough not to load the machine noticeably. */
const LOOK_EVERY_MS = 500;

/**
 * Runs work and measures its time, and CPU, memory and WAL by process group.
 *
 * @param workers existing processes that do the work; processes started for it are found automatically
 */
export async function measure(
  stack: LocalStack,
  workers: readonly number[],
  start: () => Running,
): Promise<Sample> {
  await Promise.all(workers.map(forgetPeak));
  const [wal, cpu] = [await readWal(stack), await readCpu(stack, workers)];
  const began = performance.now();
  const { roots, done } = start();
  const memory = watchMemory(stack, [...workers, ...roots]);
  let seconds = Number.NaN;
  try {
    await done;
    seconds = (performance.now() - began) / 1000;
  } finally {
    memory.stop();
  }
  const [walAfter, cpuAfter] = [await readWal(stack), await readCpu(stack, workers)];
  return {
    seconds,
    cpu: subtract(cpuAfter, cpu),
    memory: memory.peaks,
    wal: subtract(walAfter, wal),
  };
}

type Numbers<Name extends string> = Readonly<Record<Name, number>>;

function subtract<Name extends string>(after: Numbers<Name>, before: Numbers<Name>): Record<Name, number> {
  const names = Object.keys(after) as Name[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as Record<Name, number>;
}

async function readCpu(stack: LocalStack, workers: readonly number[]): Promise<Sample['cpu']> {
  const [source, warehouse, temporal] = await Promise.all(
    [stack.source, stack.warehouse, stack.temporal].map(async (server) => cpuSeconds(server?.pid ?? 0)),
  );
  const ofWorkers = await Promise.all(workers.map(cpuSeconds));
  const tool = ofWorkers.reduce((sum, seconds) => sum + seconds, await ownChildrenCpuSeconds());
  return { source: source ?? 0, warehouse: warehouse ?? 0, tool, temporal: temporal ?? 0 };
}

async function readWal({ sourceUrl, warehouseUrl }: LocalStack): Promise<Sample['wal']> {
  const [source, warehouse] = await Promise.all([sourceUrl, warehouseUrl].map(walPosition));
  return { source: source ?? 0, warehouse: warehouse ?? 0 };
}

/** Returns the bytes that the server has written to its WAL. */
async function walPosition(url: string): Promise<number> {
  const [row] = await query<{ bytes: string }>(
    url,
    `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS bytes`,
  );
  return Number(row?.bytes);
}

/** Polls the memory of the processes; a process that ends between two polls is missed. */
function watchMemory(stack: LocalStack, tools: readonly number[]) {
  const peaks = { tool: 0, source: 0, warehouse: 0 };
  const look = (): void => {
    const servers = [stack.source, stack.warehouse].map((server) =>
      server === undefined ? [] : [server.pid],
    );
    const trees = processTrees([tools, ...servers]);
    const [tool = [], source = [], warehouse = []] = trees.map((pids) => pids.map(memoryOf));
    peaks.tool = Math.max(peaks.tool, sum(tool.map(({ peak }) => peak)));
    peaks.source = Math.max(peaks.source, sum(source.map(({ own }) => own)));
    peaks.warehouse = Math.max(peaks.warehouse, sum(warehouse.map(({ own }) => own)));
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    peaks,
    stop(): void {
      clearInterval(timer);
      look();
    },
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
