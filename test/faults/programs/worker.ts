import { runWorker } from '../../../src/runtime/run-worker.ts';

/** The worker, told which bundle of the workflows to run: so it starts at once, and can be of another version. */
const codePath = process.env['WORKFLOW_BUNDLE'];
if (codePath === undefined) throw new Error('WORKFLOW_BUNDLE is not set');
await runWorker(process.env, { workflowBundle: { codePath } });
