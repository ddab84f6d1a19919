import { appendFileSync } from 'node:fs';
import { inject } from 'vitest';

/** Keeps what a worker logged or a test was thrown, for the search at the end. */
export function remember(text: string): void {
  appendFileSync(inject('told'), `${text}\n`);
}
