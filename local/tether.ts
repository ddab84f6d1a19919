import { once } from 'node:events';
import { spawn, type ChildProcess, type IOType } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { SystemUser } from './unprivileged-user.ts';

/** How a child ended: with an exit code, or by a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TetherOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Run as this user, which requires root. */
  readonly user?: SystemUser | undefined;
  /** Where stdout and stderr go: nowhere (the default), a pipe to us, or an open file. */
  readonly output?: 'ignore' | 'pipe' | number;
  /** Signal for the child when our process is gone; SIGKILL follows ten seconds later. */
  readonly whenOrphaned?: 'TERM' | 'INT' | 'QUIT' | 'KILL';
}

export interface Tethered {
  readonly pid: number;
  readonly running: boolean;
  /** Resolves when the process has ended, in whatever way. */
  readonly exited: Promise<Exit>;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Returns false if the process is already gone. */
  signal(name: NodeJS.Signals): boolean;
}

/**
 * The shell becomes the command by `exec`, so the pid from `spawn` is the command's own. Before that it leaves
 * behind a watcher that reads a pipe whose other end only we hold: the kernel closes it when we die, even by
 * SIGKILL. The watcher is in the process group named after the pid, which therefore cannot be reused for
 * another process while the watcher may still signal it.
 */
const SCRIPT = `
signal=$1; shift
exec 3<&0
( (
  while read -r _; do :; done
  kill -s "$signal" $$ || exit
  for second in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 $$ || exit; sleep 1; done
  kill -s KILL -- -$$
) <&3 >/dev/null 2>&1 & )
exec "$@" 3<&- </dev/null
`;

/**
 * Starts a process that does not outlive ours, even if ours is killed with SIGKILL.
 *
 * It gets its own session: a terminal's Ctrl-C reaches only us, and we stop things in order.
 */
export async function spawnTethered(
  command: string,
  args: readonly string[],
  options: TetherOptions = {},
): Promise<Tethered> {
  const output: IOType | number = options.output ?? 'ignore';
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'tether', options.whenOrphaned ?? 'TERM', command, ...args], {
    detached: true,
    stdio: ['pipe', output, output],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.env !== undefined && { env: options.env }),
    ...options.user,
  });
  const exited = exitOf(child);
  await once(child, 'spawn');
  return new TetheredChild(child, exited);
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      child.stdin?.destroy();
      resolve({ code, signal });
    });
    // The pipe is never written to; it is no error of ours if the other side closes first.
    child.stdin?.on('error', () => {});
  });
}

class TetheredChild implements Tethered {
  readonly #child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<Exit>;

  constructor(child: ChildProcess, exited: Promise<Exit>) {
    if (child.pid === undefined) throw new Error('the process has no pid');
    this.#child = child;
    this.pid = child.pid;
    this.exited = exited;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stdout(): Readable | null {
    return this.#child.stdout;
  }

  get stderr(): Readable | null {
    return this.#child.stderr;
  }

  signal(name: NodeJS.Signals): boolean {
    return this.#child.kill(name);
  }
}
