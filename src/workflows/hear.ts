import { setHandler, type SignalDefinition } from '@temporalio/workflow';

/**
 * Hears what an activity or another workflow of the run sends.
 *
 * Anyone can send a signal, from the list in the Web UI too, and a wrong one cannot be answered: it is ignored. An error
 * would stop the workflow for good, since a signal stays in its history.
 *
 * @param isSent tells what is sent from what is not
 */
export function hear<T>(
  signal: SignalDefinition<[T]>,
  isSent: (sent: unknown) => sent is T,
  take: (sent: T) => void | Promise<void>,
  description: string,
): void {
  setHandler(signal, (sent: unknown) => (isSent(sent) ? take(sent) : undefined), { description });
}
