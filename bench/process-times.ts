import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks per second, the unit of CPU time in Linux's proc files. */
const TICKS = 100;

/** Returns the CPU seconds of a process and its descendants, including ended ones. Linux only; NaN elsewhere. */
export async function cpuSeconds(root: number): Promise<number> {
  const processes = await readProcesses();
  const ticksOf = (pid: number): number => {
    const own = processes.get(pid)?.ticks ?? 0;
    const children = [...processes].filter(([, { parent }]) => parent === pid);
    return children.reduce((sum, [child]) => sum + ticksOf(child), own);
  };
  return processes.has(root) ? ticksOf(root) / TICKS : Number.NaN;
}

/** Returns the CPU seconds of all ended children of this process, and of their descendants. */
export async function ownChildrenCpuSeconds(): Promise<number> {
  return ((await readStat('self'))?.endedTicks ?? 0) / TICKS;
}

/** Returns the peak memory of a process, in bytes. Linux only; NaN elsewhere. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) * 1024;
}

interface Stat {
  readonly parent: number;
  /** Including those of its ended children. */
  readonly ticks: number;
  readonly endedTicks: number;
}

async function readProcesses(): Promise<Map<number, Stat>> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(pids.map(async (pid) => [Number(pid), await readStat(pid)] as const));
  return new Map(entries.flatMap(([pid, stat]) => (stat === undefined ? [] : [[pid, stat] as const])));
}

/** Reads fields 4 and 14 to 17 of proc(5): parent, and user and system time, own and of ended children. */
async function readStat(pid: string): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  const endedTicks = endedUser + endedSystem;
  return { parent: fields[1] ?? 0, ticks: user + system + endedTicks, endedTicks };
}
