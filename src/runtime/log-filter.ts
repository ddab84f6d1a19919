import type { LogEntry } from '@temporalio/worker';

/**
 * What the SDK says of every worker as it starts and ends, which is no news: our workers for snapshots and streams have
 * no workflows on purpose. Webpack's report is left out only if it has neither warnings nor errors.
 */
const ROUTINE = [
  /^Worker state changed$/,
  /^Workflow bundle created$/,
  /^No workflows registered, not polling for workflow tasks$/,
  /^No Nexus services registered, not polling for Nexus tasks$/,
  /^webpack \S+ compiled successfully in \d+ ms$/m,
];

/** Returns whether an entry belongs in the log. */
export function isNews({ message, meta }: LogEntry): boolean {
  return meta?.['sdkComponent'] !== 'worker' || !ROUTINE.some((pattern) => pattern.test(message));
}
