import { writeFile } from 'node:fs/promises';
import { bundleWorkflowCode } from '@temporalio/worker';
import { failureConverterPath } from './encryption-codec.ts';
import { bundlerOptions, encryptedBundlePath, workflowBundlePath, workflowsPath } from './workflow-code.ts';

/** The last step of a build: bundles the workflows, so that workers need not do it when they start. */
for (const [path, options] of [
  [workflowBundlePath, {}],
  [encryptedBundlePath, { failureConverterPath }],
] as const) {
  const { code } = await bundleWorkflowCode({ workflowsPath, ...bundlerOptions, ...options });
  await writeFile(path, code);
}
