import { configDefaults, mergeConfig } from 'vitest/config';
import short from './vitest.config.ts';

/** What takes minutes: many rounds, large data, other versions. `npm run test:long`. */
export default mergeConfig(short, {
  test: { include: ['test/**/*.long.test.ts'], exclude: [...configDefaults.exclude], testTimeout: 600_000 },
});
