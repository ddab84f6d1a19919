import { describe } from 'vitest';

/** The same as in every run of the tests, at twenty moments of each. */
describe('twenty moments of each fault', async () => {
  process.env['CAPTURE_FAULT_MOMENTS'] = '20';
  await import('./faults.test.ts');
});
