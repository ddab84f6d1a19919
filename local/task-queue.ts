import { randomBytes } from 'node:crypto';
import { DEFAULT_TASK_QUEUE } from '../src/contract/task-queues.ts';
import type { LocalStack } from './stack.ts';

/**
 * Returns the usual task queue where Temporal is ours, else one that nobody else has: runs that others start on the
 * usual one would land in our warehouse, which is deleted at the end.
 *
 * @param program names the queue: `dev`
 */
export function taskQueueOf({ temporal }: Pick<LocalStack, 'temporal'>, program: string): string {
  return temporal === undefined
    ? `${DEFAULT_TASK_QUEUE}-${program}-${randomBytes(3).toString('hex')}`
    : DEFAULT_TASK_QUEUE;
}
