import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ChildWorkflowFailure,
  isCancellation,
  TimeoutFailure,
} from '@temporalio/workflow';
import {
  affectsEveryTable,
  captureWaits,
  isFailureKind,
  restartsRun,
  type FailureKind,
} from '../contract/failures.ts';

/** True if the run can recover by starting over. */
export function canBeginAgain(error: unknown): boolean {
  const kind = kindOf(rootOf(error));
  return kind !== undefined && restartsRun(kind);
}

export function isSnapshotLost(error: unknown): boolean {
  return kindOf(rootOf(error)) === 'SnapshotLost';
}

/** True if a capture waits for the failure to pass. */
export function isPassing(error: unknown): boolean {
  const cause = rootOf(error);
  if (cause instanceof TimeoutFailure) return true;
  const kind = kindOf(cause);
  return kind !== undefined && captureWaits(kind);
}

/** True if other tables may be copied all the same. */
export function isOfOneTable(error: unknown): boolean {
  const kind = kindOf(rootOf(error));
  return kind !== undefined && !affectsEveryTable(kind);
}

/** Returns why a holder ended: its own failure if retrying is no use, otherwise the loss of its snapshot. */
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

/** True if a child was refused: its type is unknown to workers of earlier versions. */
export const isUnknownType = (error: unknown): boolean => kindOf(rootOf(error)) === 'InvalidInput';

/** A failure as data, for a workflow that tells several. */
export interface ToldFailure {
  readonly kind: FailureKind;
  readonly message: string;
}

/** An activity of which nothing is heard stalls. */
export function toldFailure(error: unknown): ToldFailure {
  const cause = rootOf(error);
  const kind = kindOf(cause) ?? (cause instanceof TimeoutFailure ? 'Stalled' : 'Unexpected');
  return { kind, message: messageOf(error) };
}

/** Returns why a run ends: as cancelled if it was, also where an attempt failed before it heard of that. */
export function endOfRun(error: unknown): unknown {
  if (!CancellationScope.current().consideredCancelled || isCancellation(error)) return error;
  return new CancelledFailure(messageOf(error));
}

/** Returns the failure of a run, with the words of its cause at the top, where the UI and the CLI show them. */
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

function kindOf(cause: unknown): FailureKind | undefined {
  if (!(cause instanceof ApplicationFailure) || typeof cause.type !== 'string') return undefined;
  return isFailureKind(cause.type) ? cause.type : undefined;
}

function rootOf(error: unknown): unknown {
  const wraps = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure;
  return wraps && error.cause !== undefined ? rootOf(error.cause) : error;
}
