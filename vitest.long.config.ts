import { configDefaults, defineConfig } from 'vitest/config';
import short from './vitest.config.ts';

/** What takes long: many rounds, large data, other versions, further variants. `npm run test:long`. */
export default defineConfig({
  test: {
    // not merged: a merge would add to the lists of the short suite
    ...short.test,
    exclude: [...configDefaults.exclude, 'test/**/*.faults.test.ts'],
    testTimeout: 600_000,
  },
});
