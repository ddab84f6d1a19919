import { expect, test } from 'vitest';
import { jsonLine } from '../../src/runtime/json-log.ts';

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
