import { readdir, readFile, writeFile } from 'node:fs/promises';

/**
 * Of each group of roots: the processes that descend from them, and the roots themselves. Linux only; none elsewhere.
 *
 * For all groups at once, since it reads a file of every process there is.
 */
export async function processTrees(groups: readonly (readonly number[])[]): Promise<number[][]> {
  const parents = await readParents();
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

async function readParents(): Promise<[number, number][]> {
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    names.map(async (name): Promise<[number, number]> => {
      const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
      return [Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? Number.NaN)];
    }),
  );
}

/** Bytes that a process has resident, those it has of its own, and the most it had resident; 0 when it is gone. */
export interface Memory {
  readonly resident: number;
  readonly own: number;
  readonly peak: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { resident: bytes('VmRSS'), own: bytes('RssAnon'), peak: bytes('VmHWM') };
}

/** Lets the kernel count the peak of a process from now on; where that is not permitted it is that of its life. */
export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined);
}
