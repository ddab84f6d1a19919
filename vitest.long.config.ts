import { configDefaults, defineConfig } from 'vitest/config';
import short from './vitest.config.ts';

/** `npm run test:long`, the slow tests: many rounds, large data, other versions, further variants. */
export default defineConfig({
  test: {
    // not merged: merging would append to the lists of the short suite
    ...short.test,
    exclude: [...configDefaults.exclude, 'test/**/*.faults.test.ts'],
    // these wait less, and need more memory
    maxWorkers: 4,
    testTimeout: 600_000,
  },
});
