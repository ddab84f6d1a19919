import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SAME_WITHIN_MS } from '../../local/close-on-signals.ts';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { runProgram } from './run-program.ts';

test('the first Ctrl-C closes, even when it comes twice at once', async () => {
  const { child, lines } = await runProgram('closing.ts', '300');
  child.kill('SIGINT');
  await sleep(SAME_WITHIN_MS / 10);
  child.kill('SIGINT');
  const [[line], [code]] = await Promise.all([once(lines, 'line'), once(child, 'exit')]);
  expect([line, code]).toEqual(['closed', 130]);
});

test('a second Ctrl-C does not wait for closing', { tags: 'long' }, async () => {
  const { child } = await runProgram('closing.ts', '60000');
  child.kill('SIGINT');
  await sleep(SAME_WITHIN_MS * 1.4);
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(130);
});

test('a Ctrl-C leaves nothing of a server', async () => {
  const { child, firstLine } = await runProgram('postgres-owner.ts');
  const { dataDirectory } = JSON.parse(firstLine) as { dataDirectory: string };
  child.kill('SIGINT');
  await once(child, 'exit');
  await expect(access(dirname(dataDirectory))).rejects.toThrow('ENOENT');
});

test.each(['demo', 'dev'])('a Ctrl-C closes "npm run %s" even while it is busy', async (name) => {
  const { scripts } = JSON.parse(await readFile(join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const command = scripts[name]?.replace(/\S+\.ts$/, 'test/local/programs/closing.ts 0 300');
  const shell = spawn('sh', ['-c', `PATH="$PATH:node_modules/.bin" ${command}`], {
    cwd: PROJECT_ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: shell.stdout });
  await once(lines, 'line');
  if (shell.pid === undefined) throw new Error('there is no shell');
  process.kill(-shell.pid, 'SIGINT'); // as a terminal does, to all processes
  const [line] = (await Promise.race([once(lines, 'line'), once(lines, 'close')])) as [string?];
  expect(line).toBe('closed');
});
