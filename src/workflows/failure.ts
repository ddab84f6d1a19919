import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { FailureKind } from '../contract/failures.ts';

/** What a run recovers from by beginning again: its snapshot, plan or staging table is no longer what it was. */
const beginsAnew: ReadonlySet<string> = new Set<FailureKind>(['SnapshotLost', 'PlanOutdated', 'StagingLost']);

export function canBeginAgain(error: unknown): boolean {
  const cause = rootOf(error);
  return cause instanceof ApplicationFailure && beginsAnew.has(cause.type ?? '');
}

export function isSnapshotLost(error: unknown): boolean {
  const cause = rootOf(error);
  return cause instanceof ApplicationFailure && cause.type === ('SnapshotLost' satisfies FailureKind);
}

/** What passes by itself, however long it takes: a capture waits for it for ever. */
const passes: ReadonlySet<string> = new Set<FailureKind>([
  'Unreachable',
  'ConnectionLost',
  'TooManyConnections',
  'PoolExhausted',
  'LockTimeout',
  'Deadlock',
  'SerializationFailure',
  'StatementCancelled',
  'StatementTimeout',
  'DiskFull',
  'OutOfMemory',
  'ReadOnlyServer', // while another takes the place of a primary
  'SlotActive',
  'Stalled',
]);

export function isPassing(error: unknown): boolean {
  const cause = rootOf(error);
  if (cause instanceof TimeoutFailure) return true;
  return cause instanceof ApplicationFailure && passes.has(cause.type ?? '');
}

/** Why a holder is no more: its own failure where retrying is of no use, the loss of its snapshot otherwise. */
export function holderFailure(error: unknown): unknown {
  const cause = rootOf(error);
  const mayBeTriedAgain =
    cause instanceof TimeoutFailure || (cause instanceof ApplicationFailure && cause.nonRetryable !== true);
  return mayBeTriedAgain ? lost(cause.message) : error;
}

export const lost = (message: string): ApplicationFailure => ofKind('SnapshotLost', message);

export function ofKind(kind: FailureKind, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, kind);
}

/** The failure of a run: the words of its cause at the top, where the UI and the CLI show them. */
export function asRunFailure(error: unknown): unknown {
  const cause = rootOf(error);
  if (!(cause instanceof ApplicationFailure) || cause === error) return error;
  return ApplicationFailure.create({
    message: cause.message,
    type: cause.type ?? 'Unexpected',
    nonRetryable: true,
    ...(error instanceof Error && { cause: error }),
  });
}

export function messageOf(error: unknown): string {
  const cause = rootOf(error);
  return cause instanceof Error ? cause.message : String(cause);
}

function rootOf(error: unknown): unknown {
  const wraps = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure;
  return wraps && error.cause !== undefined ? rootOf(error.cause) : error;
}
