import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';

const CONTRACT = join(PROJECT_ROOT, 'src/contract');

test('every module of the contract that makes schemas is shared by workflows, with its schemas as they are', async () => {
  const modules = await readdir(CONTRACT);
  const sources = await Promise.all(modules.map(async (name) => readFile(join(CONTRACT, name), 'utf8')));
  const withSchemas = modules.filter((_, index) => sources[index]?.includes(` from 'zod';`));
  const preloaded = await readFile(join(PROJECT_ROOT, 'src/workflows/preloaded.ts'), 'utf8');
  const listed = [...preloaded.matchAll(/import \* as (\w+) from '\.\.\/contract\/(.*)';/g)];
  expect(listed.map(([, , name]) => name)).toEqual(withSchemas.toSorted());
  for (const [, alias] of listed) expect(preloaded).toMatch(new RegExp(`^  ${alias},$`, 'm'));
});
