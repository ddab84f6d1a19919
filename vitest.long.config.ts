import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

/** What takes too long to be run for every change: many random moments, millions of rows. */
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/**/*.long.test.ts'],
    exclude: [],
    testTimeout: 30 * 60_000,
    maxWorkers: 1,
  },
});
