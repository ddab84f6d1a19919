import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Returns when a process started, in the system's own notation, or undefined if there is no such process.
 *
 * A pid alone does not tell whether the process that recorded it still exists: pids are reused.
 */
export function processStart(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? startInProc(pid) : startByPs(pid);
}

/** proc_pid_stat(5): the name is in parentheses and may contain anything; state is field 3, starttime field 22. */
async function startInProc(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[22 - 3];
  } catch {
    return undefined;
  }
}

async function startByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]);
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}
