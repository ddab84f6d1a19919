import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { log, patched, sleep, workflowInfo } from '@temporalio/workflow';
import { withAdvice } from '../contract/failures.ts';
import { utf8Length } from '../contract/table-name.ts';
import { pauseAfter } from './begin-again.ts';
import { ofKind } from './failure.ts';

/** The longest workflow id that the server takes, in bytes. */
const LONGEST_ID = 1000;
/** About twenty minutes, as runs wait for others of their table. */
const MOST_WAITS = 24;

/**
 * Starts a child named after its parent. If one of that name is still running, it waits for that to end: the parent was
 * reset, or terminated and started again, and the child is being cancelled.
 *
 * @throws {ApplicationFailure} AlreadyRunning if that takes too long
 */
export async function startNamed<Child>(
  name: string,
  start: (workflowId: string) => Promise<Child>,
): Promise<Child> {
  const workflowId = idOf(name);
  for (let waits = 0; ; waits += 1) {
    try {
      return await start(workflowId);
    } catch (error) {
      // in earlier versions the table, or the run, failed
      if (!isRunning(error) || !patched('earlier-children-are-waited-for')) throw error;
      if (waits === MOST_WAITS) throw stillRunning(workflowId);
      log.warn('waits for an earlier child to end', { child: workflowId });
      await sleep(pauseAfter(waits));
    }
  }
}

const isRunning = (error: unknown): boolean => error instanceof WorkflowExecutionAlreadyStartedError;

const stillRunning = (workflowId: string): Error =>
  ofKind('AlreadyRunning', withAdvice('AlreadyRunning', `The workflow "${workflowId}" is still running`));

/** Children of a workflow with a very long id are named after its run. */
function idOf(name: string): string {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const id = `${workflowId}/${name}`;
  return utf8Length(id) <= LONGEST_ID ? id : `${firstExecutionRunId}/${name}`;
}
