import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Running } from './measure.ts';
import type { Command } from './peers/peer.ts';

export interface Started extends Running {
  /** Kills the processes that do the work with SIGKILL, and waits until they are gone. */
  kill(): Promise<void>;
}

/** A run that takes longer than this is aborted. */
const LIMIT_MS = 8 * 60_000;

/** Starts a program in a directory of its own, which is deleted once the program succeeds. */
export function startCommand({ program, args, env }: Command, directory: string): Started {
  const log = openSync(join(directory, 'output'), 'a');
  // its own process group, so that all of it can be killed; its own home, since some programs keep settings there
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, HOME: directory, ...env },
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(127));
    child.once('close', resolve);
  });
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  const limit = setTimeout(kill, LIMIT_MS);
  const finish = async (): Promise<void> => {
    const code = await ended;
    clearTimeout(limit);
    closeSync(log);
    if (code !== 0) throw new Error(await lastLine(join(directory, 'output'), code));
    await rm(directory, { recursive: true, force: true });
  };
  const done = finish();
  // a caller that kills it does not care how it ended
  done.catch(() => undefined);
  return {
    roots: child.pid === undefined ? [] : [child.pid],
    done,
    async kill() {
      kill();
      await ended;
    },
  };
}

/** Returns the line that explains why a program failed: as a rule the last one that mentions an error. */
async function lastLine(file: string, code: number | null): Promise<string> {
  const lines = (await readFile(file, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.trim() !== '');
  const telling = lines.findLast((line) => /error|exception|fatal|not supported/i.test(line)) ?? lines.at(-1);
  return `${code === null ? 'killed' : `status ${code}`}: ${(telling ?? '').trim().slice(0, 200)}`;
}
