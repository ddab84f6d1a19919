import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

/**
 * Of each group of roots: the processes that descend from them, and the roots themselves. Linux only; none elsewhere.
 *
 * For all groups at once, since it reads a file of every process there is. Files of the kernel are read at once, and not
 * by threads, which take more of the machine that is measured than the reading does.
 */
export function processTrees(groups: readonly (readonly number[])[]): number[][] {
  const parents = readParents();
  return groups.map((roots) => descendants(roots, parents));
}

function descendants(roots: readonly number[], parents: readonly [number, number][]): number[] {
  const tree = new Set(roots);
  // children have higher numbers than their parents but for when numbers begin again
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

/** A process may be gone by now, and other systems have no such files. */
function existing<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** Bytes that a process has resident, those it has of its own, and the most it had resident; 0 when it is gone. */
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

/** Lets the kernel count the peak of a process from now on; where that is not permitted it is that of its life. */
export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined);
}
