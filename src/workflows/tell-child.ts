import { log, type ChildWorkflowHandle, type SignalDefinition, type Workflow } from '@temporalio/workflow';
import { messageOf } from './failure.ts';

/**
 * Signals a child, if there is one. No work fails because a child does not hear of something: almost always it has
 * ended in the same moment, and its result is on the way.
 */
export function tellChild<Args extends [] | [unknown]>(
  child: ChildWorkflowHandle<Workflow> | undefined,
  signal: SignalDefinition<Args>,
  ...args: Args
): Promise<void> | undefined {
  // not `async`: without a child no more may pass than one turn, or commands of recorded histories change places
  return child?.signal(signal, ...args).catch((error: unknown) => {
    log.info('a child could not be told', { signal: signal.name, reason: messageOf(error) });
  });
}
