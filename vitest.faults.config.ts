import { configDefaults, defineConfig } from 'vitest/config';
import short from './vitest.config.ts';

/** `npm run test:faults`: each fault at each moment, for up to FAULT_MINUTES (five hours by default). */
export default defineConfig({
  test: {
    ...short.test,
    include: ['test/faults/**/*.faults.test.ts'],
    exclude: [...configDefaults.exclude],
    testTimeout: 6 * 3_600_000,
    hookTimeout: 600_000,
  },
});
