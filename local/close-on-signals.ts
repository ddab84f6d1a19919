import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** tsx hands a Ctrl-C on that the terminal sent us already; only what comes later is a second one. */
const SAME_WITHIN_MS = 500;

/**
 * Closes on the first Ctrl-C (or SIGTERM, or SIGHUP) and ends the process; the second ends it at once, and what
 * is tethered to it with it.
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
  console.error('\nStopping. Press Ctrl-C again to stop at once.');
  try {
    await target.close();
    process.exit(exitCode(signal));
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

function exitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
