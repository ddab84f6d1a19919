import { configDefaults, defineConfig } from 'vitest/config';

/** The suite of `npm test`, which takes minutes; `test:long` and `test:faults` run the rest with these settings. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/**/*.{long,faults}.test.ts'],
    // what keeps `npm test` within five minutes: the dearest tests, and all but one of several that show the same
    tags: [
      { name: 'long', description: 'Repeats what a shorter test shows, in one more way, or takes long.' },
    ],
    globalSetup: ['test/setup/servers.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // each file has its own databases on the shared servers; six keep two cores busy while some of them wait
    maxWorkers: 6,
    pool: 'forks',
    // files share no state except imported modules, and importing Temporal takes longer than most files
    isolate: false,
    // workflows of in-process workers need no threads of their own, each of which takes half a second of CPU to start
    env: { TEMPORAL_DEBUG: '1' },
  },
});
