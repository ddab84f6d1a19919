import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PROJECT_ROOT } from '../../local/project-root.ts';

export interface RunningProgram {
  readonly child: ChildProcess;
  readonly lines: Interface;
  /** The first line it printed. */
  readonly firstLine: string;
}

/** Starts one of the programs in this directory, and waits until it has printed a line. */
export async function runProgram(name: string, ...args: string[]): Promise<RunningProgram> {
  const program = fileURLToPath(new URL(`programs/${name}`, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout });
  const [firstLine] = (await once(lines, 'line')) as [string];
  return { child, lines, firstLine };
}
