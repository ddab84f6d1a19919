import { appendFileSync } from 'node:fs';
import { inject } from 'vitest';

/** Keeps log lines and errors for the search at the end. */
export function remember(text: string): void {
  appendFileSync(inject('told'), `${text}\n`);
}
