import { workflowInfo } from '@temporalio/workflow';
import { suggestion } from '../contract/parse-input.ts';
import { ofKind } from './failure.ts';

/** The types that people start; other workflows of this project are children of these. */
const TYPES = [
  'extractTable',
  'extractDatabase',
  'captureChanges',
  'dropCapture',
  'checkSource',
  'maintainBronze',
] as const;

/**
 * Runs in the place of a workflow type that does not exist. Otherwise Temporal would wait for a worker that knows it,
 * and nobody would hear of a mistyped name.
 *
 * It refuses types of later versions too, so all workers must be of that version before one is started.
 */
export async function refuseUnknownType(): Promise<never> {
  const { workflowType } = workflowInfo();
  throw ofKind(
    'InvalidInput',
    `There is no workflow "${workflowType}"${suggestion(workflowType, TYPES)}, only ${TYPES.join(', ')}. Start one of these.`,
  );
}
