import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

/**
 * For each group of roots, returns the roots and all their descendants. Linux only; just the roots elsewhere.
 *
 * Takes all groups at once because it reads a file of every process. It reads synchronously: kernel files are
 * immediately available, and threads would take more CPU from the machine under test than the reading does.
 */
export function processTrees(groups: readonly (readonly number[])[]): number[][] {
  const parents = readParents();
  return groups.map((roots) => descendants(roots, parents));
}

function descendants(roots: readonly number[], parents: readonly [number, number][]): number[] {
  const tree = new Set(roots);
  // children have higher pids than their parents, except after the pids wrap around
  for (let found = -1; found !== tree.size;) {
    found = tree.size;
    for (const [pid, parent] of parents) if (tree.has(parent)) tree.add(pid);
  }
  return [...tree];
}

function readParents(): [number, number][] {
  const names = existing(() => readdirSync('/proc'), []).filter((name) => /^\d+$/.test(name));
  return names.map((name) => {
    const stat = existing(() => readFileSync(`/proc/${name}/stat`, 'utf8'), '');
    return [Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? Number.NaN)];
  });
}

/** Returns a fallback if reading fails: the process may be gone, and other systems have no such files. */
function existing<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** Bytes of a process: resident, resident and private, and peak resident; 0 once it is gone. */
export interface Memory {
  readonly resident: number;
  readonly own: number;
  readonly peak: number;
}

export function memoryOf(pid: number): Memory {
  const status = existing(() => readFileSync(`/proc/${pid}/status`, 'utf8'), '');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { resident: bytes('VmRSS'), own: bytes('RssAnon'), peak: bytes('VmHWM') };
}

/** Resets a process's peak memory; without permission to do so, the peak covers its whole life. */
export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined);
}
