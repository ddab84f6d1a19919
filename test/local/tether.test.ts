import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { startPostgres } from '../../local/postgres.ts';
import { processStart } from '../../local/process-start.ts';
import { spawnTethered } from '../../local/tether.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { runProgram } from './run-program.ts';

const isGone = async (pid: number) => (await processStart(pid)) === undefined;
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

test(
  'PostgreSQL follows a parent killed with SIGKILL, and the next start removes its directory',
  { tags: 'long' },
  async () => {
    const { child, firstLine } = await runProgram('postgres-owner.ts');
    const { pid, dataDirectory } = JSON.parse(firstLine) as { pid: number; dataDirectory: string };
    expect(await isGone(pid)).toBe(false);

    child.kill('SIGKILL');
    await waitUntil(() => isGone(pid), 5_000);
    expect(await exists(dataDirectory)).toBe(true);

    const next = await startPostgres();
    expect(await exists(dirname(dataDirectory))).toBe(false);
    await next.dispose();
  },
);

test('the pid is the command’s own, and its exit is told as it was', async () => {
  const child = await spawnTethered('node', ['-e', 'console.log(process.pid); process.exitCode = 7'], {
    output: 'pipe',
  });
  const printed = child.stdout?.setEncoding('utf8').toArray();
  expect(await child.exited).toEqual({ code: 7, signal: null });
  expect((await printed)?.join('').trim()).toBe(String(child.pid));
  expect(child.running).toBe(false);
});

test('signals reach the command', async () => {
  const child = await spawnTethered('sleep', ['60']);
  expect(child.signal('SIGKILL')).toBe(true);
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(child.signal('SIGTERM')).toBe(false);
});

test('a Ctrl-C in our terminal does not reach the command: it has a process group of its own', async () => {
  const child = await spawnTethered('sh', ['-c', 'ps -o pgid= -p $$; ps -o pgid= -p $PPID'], {
    output: 'pipe',
  });
  const output: string[] = (await child.stdout?.setEncoding('utf8').toArray()) ?? [];
  const [own, ours] = output.join('').trim().split(/\s+/).map(Number);
  expect(own).toBe(child.pid);
  expect(ours).toBeGreaterThan(0);
  expect(ours).not.toBe(own);
});

test('a command that does not exist ends with the shell’s 127', async () => {
  const child = await spawnTethered('no-such-program', []);
  expect((await child.exited).code).toBe(127);
});
