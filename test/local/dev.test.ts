import { expect, test } from 'vitest';
import { taskQueueOf } from '../../local/task-queue.ts';
import type { TemporalServer } from '../../local/temporal.ts';

test('uses the usual task queue where Temporal is its own', () => {
  expect(taskQueueOf({ temporal: {} as TemporalServer }, 'dev')).toBe('datakit-postgres');
  expect(taskQueueOf({ temporal: undefined }, 'dev')).not.toBe(taskQueueOf({ temporal: undefined }, 'dev'));
});
