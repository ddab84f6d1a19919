import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // what takes minutes is run by `npm run test:long`
    exclude: [...configDefaults.exclude, 'test/**/*.long.test.ts'],
    globalSetup: ['test/setup/servers.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // each file has databases of its own on the shared servers; more at once only wait for two cores
    maxWorkers: 3,
    pool: 'forks',
  },
});
