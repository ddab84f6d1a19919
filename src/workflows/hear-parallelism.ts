import { MAX_PARALLELISM } from '../contract/extract-table.ts';
import { hear } from './hear.ts';
import { parallelismSignal } from './messages.ts';

/** Has a child hear from its parent how many copies it may have at once; 0 begins no other. */
export function hearParallelism(resize: (width: number) => void | Promise<void>): void {
  const description = 'Internal, from the workflow that started this one. Use the update setParallelism.';
  hear(parallelismSignal, isWidth, resize, description);
}

const isWidth = (wanted: unknown): wanted is number =>
  typeof wanted === 'number' && Number.isInteger(wanted) && wanted >= 0 && wanted <= MAX_PARALLELISM;
