import { fileURLToPath } from 'node:url';

/** Where package.json is. */
export const PROJECT_ROOT = fileURLToPath(new URL('..', import.meta.url));
