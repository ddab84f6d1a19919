import { configDefaults, defineConfig } from 'vitest/config';
import short from './vitest.config.ts';

/** What takes minutes: many rounds, large data, other versions. `npm run test:long`. */
export default defineConfig({
  test: {
    // not merged: a merge would add to the lists of the short suite
    ...short.test,
    include: ['test/**/*.long.test.ts'],
    exclude: [...configDefaults.exclude],
    testTimeout: 600_000,
  },
});
