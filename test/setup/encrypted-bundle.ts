import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { workflowsPath } from '../../src/runtime/create-workers.ts';
import { failureConverterPath } from '../../src/runtime/encryption-codec.ts';

let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The workflows as a worker with encryption keys has them, made once for a test file. */
export async function encryptedBundle(): Promise<WorkflowBundleWithSourceMap> {
  bundle ??= bundleWorkflowCode({ workflowsPath, failureConverterPath, logger: new DefaultLogger('WARN') });
  return bundle;
}
