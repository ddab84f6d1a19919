import { setHandler } from '@temporalio/workflow';
import { MAX_PARALLELISM } from '../contract/extract-table.ts';
import { parallelismSignal } from './messages.ts';

/**
 * Has a child hear from its parent how many copies it may have at once; 0 begins no other.
 *
 * Anyone can send a signal, and a wrong one cannot be answered: it is ignored.
 */
export function hearParallelism(resize: (width: number) => void | Promise<void>): void {
  setHandler(parallelismSignal, (wanted: unknown) => (isWidth(wanted) ? resize(wanted) : undefined), {
    description: 'Internal, from the workflow that started this one. Use the update setParallelism.',
  });
}

const isWidth = (wanted: unknown): wanted is number =>
  typeof wanted === 'number' && Number.isInteger(wanted) && wanted >= 0 && wanted <= MAX_PARALLELISM;
