import { configDefaults, defineConfig } from 'vitest/config';

/** What `npm test` runs, in minutes; `npm run test:long` and `npm run test:faults` run the rest with the same settings. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/**/*.{long,faults}.test.ts'],
    tags: [
      { name: 'long', description: 'Repeats at length, or in one more way, what a shorter test shows too.' },
    ],
    globalSetup: ['test/setup/servers.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // each file has databases of its own on the shared servers; more at once only wait for two cores
    maxWorkers: 3,
    pool: 'forks',
    // files share no state but what they import, and importing Temporal takes longer than most of them
    isolate: false,
    // workflows of workers in the process of a test need no threads of their own: to start one takes half a second of CPU
    env: { TEMPORAL_DEBUG: '1' },
  },
});
