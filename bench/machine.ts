import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { LocalStack } from '../local/stack.ts';
import { query } from './execute.ts';

const run = promisify(execFile);

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  /** Bytes. */
  readonly memory: number;
  readonly system: string;
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memory: totalmem(),
    system: `${process.platform} ${release()}`,
  };
}

/** Lists the versions that the figures depend on, besides the machine. */
export async function describeVersions(stack: LocalStack): Promise<Record<string, string>> {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  const commit = await run('git', ['rev-parse', '--short', 'HEAD']).catch(() => ({ stdout: 'unknown' }));
  const psql = await run('psql', ['--version']).catch(() => ({ stdout: 'none' }));
  return {
    'datakit-postgres': `${version} (${commit.stdout.trim()})`,
    node: process.version,
    source: await serverVersion(stack.sourceUrl),
    warehouse: await serverVersion(stack.warehouseUrl),
    psql: psql.stdout.trim(),
  };
}

async function serverVersion(url: string): Promise<string> {
  const [row] = await query<{ server_version: string }>(url, 'SHOW server_version');
  return row?.server_version ?? 'unknown';
}
