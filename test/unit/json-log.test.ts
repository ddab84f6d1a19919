import { expect, test } from 'vitest';
import { jsonLine } from '../../src/runtime/json-log.ts';
import { isNews } from '../../src/runtime/log-filter.ts';

test('a line of the log has what helps, and not the token that would let others end the activity', () => {
  const meta = { taskToken: 'c2VjcmV0', sdkComponent: 'worker', attempt: 2n, error: new Error('away') };
  const line = jsonLine({ level: 'WARN', message: 'tried again', timestampNanos: 1_000_000_000n, meta });
  expect(JSON.parse(line)).toEqual({
    time: '1970-01-01T00:00:01.000Z',
    level: 'WARN',
    message: 'tried again',
    sdkComponent: 'worker',
    attempt: '2',
    error: { name: 'Error', message: 'away' },
  });
});

test.each([
  ['asset bundle.js 3 MiB\nwebpack 5.112.2 compiled successfully in 12205 ms', 'worker', false],
  ['asset bundle.js 3 MiB\nwebpack 5.112.2 compiled with 1 warning in 12205 ms', 'worker', true],
  ['No workflows registered, not polling for workflow tasks', 'worker', false],
  ['No activities registered, not polling for activity tasks', 'worker', true],
  ['Worker state changed', 'worker', false],
  ['Worker state changed', 'activity', true],
])('%s, of a %s: in the log %s', (message, sdkComponent, news) => {
  expect(isNews({ level: 'INFO', message, timestampNanos: 0n, meta: { sdkComponent } })).toBe(news);
});
