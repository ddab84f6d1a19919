import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** tsx forwards a Ctrl-C that the terminal has already sent us; only a later one counts as a second. */
export const SAME_WITHIN_MS = 500;

/**
 * Closes on the first Ctrl-C (or SIGTERM, or SIGHUP) and ends the process; a second one ends it at once, along with
 * everything tethered to it.
 */
export function closeOnSignals(target: { close(): Promise<void> }): void {
  let first: number | undefined;
  const handle = (signal: (typeof SIGNALS)[number]) => {
    if (first === undefined) {
      first = Date.now();
      void closeAndExit(target, signal);
    } else if (Date.now() - first > SAME_WITHIN_MS) {
      process.exit(exitCode(signal));
    }
  };
  for (const signal of SIGNALS) process.on(signal, handle);
}

async function closeAndExit(target: { close(): Promise<void> }, signal: NodeJS.Signals): Promise<void> {
  console.error('\nStopping, and deleting what was temporary. Press Ctrl-C again to stop at once.');
  try {
    await target.close();
    // npm may have returned to the prompt already
    console.error('Stopped.');
    process.exit(exitCode(signal));
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

function exitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
