import { workflowInfo } from '@temporalio/workflow';
import {
  dropCaptureExample,
  dropCaptureInput,
  type DropCaptureRequest,
  type DropCaptureResult,
} from '../contract/capture-changes.ts';
import { parseInput } from '../contract/parse-input.ts';
import { dropCapture as drop } from './activities.ts';
import { asRunFailure } from './failure.ts';
import { checked } from './checked-input.ts';

/** Drops a capture's slot, publication and bookkeeping, as far as they exist. */
export async function dropCapture(request: DropCaptureRequest): Promise<DropCaptureResult> {
  const input = checked(() => parseInput(dropCaptureInput, request, dropCaptureExample));
  const { firstExecutionRunId: runId, workflowId } = workflowInfo();
  try {
    return await drop.executeWithOptions({ activityId: 'drop' }, [{ ...input, runId, workflowId }]);
  } catch (error) {
    throw asRunFailure(error);
  }
}
