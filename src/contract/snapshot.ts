import { z } from 'zod';

/** A snapshot of the source that sessions can share while its holder lives. */
export interface Snapshot {
  readonly id: string;
  /** By the source's clock, ISO 8601. */
  readonly takenAt: string;
  /** Position in the source's write-ahead log, `0/1A2B3C4D`; for a new slot, where it begins. */
  readonly lsn?: string;
  /** A digest of the transactions that it sees, by which it differs from another snapshot with the same id. */
  readonly sees?: string;
}

export interface HoldSnapshotRequest {
  readonly source: string;
  readonly runId: string;
  /** Identifies the holder to the workflow. */
  readonly holder: string;
  /** Milliseconds; see the input `idleTimeout`. */
  readonly idleTimeout?: number;
  /** The snapshot of another holder, to be held as well; if absent, a new one is taken. */
  readonly from?: HeldSnapshot;
}

/** A snapshot and its holder. */
export interface HeldSnapshot {
  readonly holder: string;
  readonly worker: string;
  readonly snapshot: Snapshot;
  /** Set when its worker was asked to stop: another holder must take over soon. */
  readonly leaving?: true;
}

const snapshot = z.looseObject({ id: z.string(), takenAt: z.string() });
const heldSnapshot = z.looseObject({ holder: z.string(), worker: z.string(), snapshot });

/** Returns whether something that was signalled is a snapshot. */
export const isSnapshot = (sent: unknown): sent is Snapshot => snapshot.safeParse(sent).success;
/** Returns whether something that was signalled is a snapshot and its holder. */
export const isHeldSnapshot = (sent: unknown): sent is HeldSnapshot => heldSnapshot.safeParse(sent).success;

/** The signal by which a holder tells the workflow about its snapshot. */
export const SNAPSHOT_EXPORTED_SIGNAL = 'snapshotExported';
