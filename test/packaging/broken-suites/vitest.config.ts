import { defineConfig } from 'vitest/config';

/** A suite whose files end in each way in which a test does not fail, but its group or its file does. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.broken.ts'],
    reporters: ['../../setup/closing-line.ts'],
  },
});
