import { configDefaults, defineConfig } from 'vitest/config';
import short from './vitest.config.ts';

/** Each fault at each moment, which takes most of an hour. `npm run test:faults`. */
export default defineConfig({
  test: {
    ...short.test,
    include: ['test/faults/**/*.faults.test.ts'],
    exclude: [...configDefaults.exclude],
    testTimeout: 6 * 3_600_000,
    hookTimeout: 600_000,
  },
});
