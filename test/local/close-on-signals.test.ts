import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runProgram } from './run-program.ts';

test('the first Ctrl-C closes, even when it comes twice at once', async () => {
  const { child, lines } = await runProgram('closing.ts', '300');
  child.kill('SIGINT');
  await sleep(50);
  child.kill('SIGINT');
  const [[line], [code]] = await Promise.all([once(lines, 'line'), once(child, 'exit')]);
  expect([line, code]).toEqual(['closed', 130]);
});

test('a second Ctrl-C does not wait for closing', { tags: 'long' }, async () => {
  const { child } = await runProgram('closing.ts', '60000');
  child.kill('SIGINT');
  await sleep(700);
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
