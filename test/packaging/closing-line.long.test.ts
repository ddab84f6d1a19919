import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';

test('the last line of the tests counts groups and files that fail in a hook', () => {
  const { stdout, status } = spawnSync(
    'node_modules/.bin/vitest',
    ['run', '--config', 'test/packaging/broken-suites/vitest.config.ts'],
    { cwd: PROJECT_ROOT, encoding: 'utf8' },
  );
  expect(stdout.trim().split('\n').at(-1)).toBe('1 passed, 2 failed, 1 skipped');
  expect(status).toBe(1);
});
