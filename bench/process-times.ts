import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks a second, as Linux counts the CPU time of processes. */
const TICKS = 100;

/** CPU seconds of a process with all that it started, those that ended among them. Linux only; NaN elsewhere. */
export async function cpuSeconds(root: number): Promise<number> {
  const processes = await readProcesses();
  const ticksOf = (pid: number): number => {
    const own = processes.get(pid)?.ticks ?? 0;
    const children = [...processes].filter(([, { parent }]) => parent === pid);
    return children.reduce((sum, [child]) => sum + ticksOf(child), own);
  };
  return processes.has(root) ? ticksOf(root) / TICKS : Number.NaN;
}

/** CPU seconds of all processes that this one has started and that have ended, with what they had started. */
export async function ownChildrenCpuSeconds(): Promise<number> {
  return ((await readStat('self'))?.endedTicks ?? 0) / TICKS;
}

/** The most memory that a process has had, in bytes. Linux only; NaN elsewhere. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) * 1024;
}

interface Stat {
  readonly parent: number;
  /** With those of its ended children. */
  readonly ticks: number;
  readonly endedTicks: number;
}

async function readProcesses(): Promise<Map<number, Stat>> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(pids.map(async (pid) => [Number(pid), await readStat(pid)] as const));
  return new Map(entries.flatMap(([pid, stat]) => (stat === undefined ? [] : [[pid, stat] as const])));
}

/** Fields 4, 14 to 17 of proc(5): parent, and user and system time of the process and of its ended children. */
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
