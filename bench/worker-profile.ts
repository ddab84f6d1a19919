import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Share } from './result.ts';
import { sharesOf } from './shares.ts';

/** The parts of V8's profile that matter here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
}

/** Makes every Node process started from now on write a CPU profile when it ends. */
export function profileInto(directory: string): void {
  process.env['NODE_OPTIONS'] = `--require ${join(import.meta.dirname, 'cpu-profile.cjs')}`;
  process.env['CPU_PROFILES'] = directory;
}

export function profileNoMore(): void {
  delete process.env['NODE_OPTIONS'];
}

/** Returns the functions sampled on the worker's main thread, without idle time. */
export async function hottest(directory: string): Promise<Share[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'));
  const profiles = await Promise.all(
    files.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile),
  );
  const main = profiles.toSorted((a, b) => b.samples.length - a.samples.length)[0];
  if (main === undefined) throw new Error('the worker wrote no profile');
  const names = new Map(main.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const counts = new Map<string, number>();
  for (const id of main.samples) {
    const name = names.get(id) ?? '';
    if (name !== '(idle)') counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return sharesOf(counts);
}

const nameOf = ({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string =>
  `${functionName || '(anonymous)'} ${url.split('/').slice(-2).join('/')}`.trim();
