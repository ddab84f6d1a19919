import { fileURLToPath } from 'node:url';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const pathOf = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** The module with the workflows. */
export const workflowsPath = pathOf(`workflows/index.${extension}`);

/** Preloads the modules that workflows share. */
export const bundlerOptions = { preloadModules: ['zod', pathOf(`workflows/preloaded.${extension}`)] };

/** Where a build puts its bundle of the workflows. */
export const workflowBundlePath = pathOf('workflow-bundle.js');

/** Likewise, the bundle that puts failures into payloads, to be encrypted. */
export const encryptedBundlePath = pathOf('workflow-bundle-encrypted.js');
