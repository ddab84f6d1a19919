import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { workflowBundlePath, workflowsPath } from './create-workers.ts';

/** The last step of a build: workers that find the bundle start without making it. */
const { code } = await bundleWorkflowCode({ workflowsPath });
await writeFile(fileURLToPath(workflowBundlePath), code);
