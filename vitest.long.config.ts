import { defineConfig } from 'vitest/config';
import usual from './vitest.config.ts';

/** Tests that take minutes, one file after the other: `npm run test:long`. */
export default defineConfig({
  test: { ...usual.test, include: ['test/**/*.long.test.ts'], exclude: [], maxWorkers: 1 },
});
