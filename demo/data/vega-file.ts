import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Locates a data file of the package `vega-datasets`, relative to its code: its exports do not name the data. */
export function vegaFile(name: string): string {
  const build = dirname(createRequire(import.meta.url).resolve('vega-datasets'));
  return join(build, '..', 'data', name);
}

export function readVegaFile(name: string): Promise<string> {
  return readFile(vegaFile(name), 'utf8');
}
