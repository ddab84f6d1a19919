import { CancellationScope, condition, patched, sleep, uuid4 } from '@temporalio/workflow';
import { withAdvice } from '../contract/failures.ts';
import { formatDuration } from '../contract/quantities.ts';
import {
  isHeldSnapshot,
  type HeldSnapshot,
  type HoldSnapshotRequest,
  type Snapshot,
} from '../contract/snapshot.ts';
import { holdOnToSnapshot, holdSnapshot } from './activities.ts';
import { holderFailure, isSnapshotLost, lost, ofKind } from './failure.ts';
import { hear } from './hear.ts';
import { snapshotExportedSignal } from './messages.ts';

/** Lends work the snapshot that it reads. */
export interface SnapshotLender {
  /** Runs work on the snapshot, and again if the session that lent it is lost in the meantime. */
  lend<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T>;
}

/** Most runs end before a second holder is worth its session. */
const ALONE_FOR = '10 seconds';
/**
 * Between two attempts to start a second holder, in milliseconds: longer after each that ended at once, since an attempt
 * costs history events.
 */
const PAUSE = 5_000;
const LONGEST_PAUSE = 5 * 60_000;

/** The snapshot to hold. */
export interface SnapshotRequest extends Pick<HoldSnapshotRequest, 'source' | 'runId' | 'idleTimeout'> {
  /** Takes the snapshot if something else creates it: a new slot has its own. */
  readonly first?: (holder: string) => Promise<void>;
  /** See the input `maxSnapshotAge`. */
  readonly maxAge?: number | undefined;
}

interface Holder {
  /** What it has reported to hold; undefined at first. */
  held: HeldSnapshot | undefined;
  readonly scope: CancellationScope;
}

/**
 * One snapshot of the source, held by two sessions, on two workers if there are two.
 *
 * An exported snapshot dies with the transaction that exported it, but one that imported it can export it
 * again. So when a holder is lost, another is started from the remaining one; the snapshot is lost only when
 * both are.
 */
export class SnapshotRelay implements SnapshotLender {
  readonly #request: SnapshotRequest;
  readonly #scope = new CancellationScope();
  readonly #holders = new Map<string, Holder>();
  /** When the snapshot was taken, however often it is exported. */
  #takenAt: string | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param companion whether a second session holds it too */
  constructor(request: SnapshotRequest, companion: boolean) {
    this.#request = request;
    const description = 'Internal, from the activity that holds the snapshot.';
    hear(snapshotExportedSignal, isHeldSnapshot, (held) => this.#exported(held), description);
    this.#start(undefined);
    const { maxAge } = request;
    if (maxAge !== undefined) {
      void this.#scope.run(async () => this.#expire(maxAge)).catch(() => undefined); // ends with the relay
    }
    if (companion) void this.#scope.run(async () => this.#keepTwo()).catch(() => undefined); // likewise
  }

  /** Why the snapshot is gone; undefined while there is one. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  async lend<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    for (;;) {
      const { holder, snapshot } = await this.held();
      try {
        return await work(snapshot);
      } catch (error) {
        if (!isSnapshotLost(error)) throw error;
        this.#ended(holder, error);
      }
    }
  }

  #exported(held: HeldSnapshot): void {
    const holder = this.#holders.get(held.holder);
    if (holder !== undefined) {
      if (this.#isSame(held)) holder.held = held;
      else this.#dismiss(held.holder, holder);
    }
    this.#letGo();
  }

  #dismiss(name: string, { scope }: Holder): void {
    scope.cancel();
    this.#ended(name, lost('The activity that held the snapshot was started anew, and took another'));
  }

  /** A holder that is started anew after its workflow was reset, or after a pause, takes another snapshot. */
  #isSame({ snapshot }: HeldSnapshot): boolean {
    this.#takenAt ??= snapshot.takenAt;
    // in earlier versions chunks of both were put together
    return snapshot.takenAt === this.#takenAt || !patched('one-snapshot-of-a-holder');
  }

  /** Returns the snapshot as soon as a holder has it. */
  async held(): Promise<HeldSnapshot> {
    await condition(() => this.#held !== undefined || this.#failure !== undefined);
    if (this.#held !== undefined) return this.#held;
    throw this.#failure?.error ?? lost('The snapshot is gone');
  }

  /** Reports the snapshot whenever another session lends it than before. Ends by cancellation. */
  async tell(first: Snapshot, told: (snapshot: Snapshot) => Promise<void>): Promise<never> {
    for (let last = first; ;) {
      await condition(() => this.#held !== undefined && this.#held.snapshot.id !== last.id);
      last = this.#held?.snapshot ?? last;
      await told(last);
    }
  }

  /** Releases the snapshot. */
  close(): void {
    this.#scope.cancel();
  }

  get #held(): HeldSnapshot | undefined {
    const held = [...this.#holders.values()].flatMap((holder) => holder.held ?? []);
    return held.find(({ leaving }) => leaving !== true) ?? held[0];
  }

  /** Number of holders, including ones being started, on workers that stay. */
  get #staying(): number {
    return [...this.#holders.values()].filter(({ held }) => held?.leaving !== true).length;
  }

  /** Releases workers that were asked to stop, as soon as another holds what they held. */
  #letGo(): void {
    if (this.#held === undefined || this.#held.leaving === true) return;
    for (const { held, scope } of this.#holders.values()) if (held?.leaving === true) scope.cancel();
  }

  #start(from: HeldSnapshot | undefined): void {
    const holder = `snapshot-${uuid4().slice(0, 8)}`;
    const scope = new CancellationScope({ cancellable: true, parent: this.#scope });
    this.#holders.set(holder, { held: undefined, scope });
    void scope
      .run(async () => this.#hold(holder, from))
      .then(() => lost('The holder of the snapshot ended'))
      .catch((error: unknown) => error)
      .then((error) => this.#ended(holder, error));
  }

  async #hold(holder: string, from: HeldSnapshot | undefined): Promise<void> {
    const { first, maxAge: _maxAge, ...request } = this.#request;
    if (from !== undefined) return holdOnToSnapshot({ ...request, holder, from });
    return first === undefined ? holdSnapshot({ ...request, holder }) : first(holder);
  }

  #ended(holder: string, error: unknown): void {
    this.#holders.delete(holder);
    if (this.#holders.size === 0) this.#failure ??= { error: holderFailure(error) };
  }

  /** Fails work on the snapshot once it reaches its maximum age, because it holds back vacuum on the source. */
  async #expire(maxAge: number): Promise<void> {
    await this.held();
    await sleep(maxAge);
    this.#failure ??= {
      error: ofKind(
        'SnapshotTooOld',
        withAdvice(
          'SnapshotTooOld',
          `The snapshot became ${formatDuration(maxAge)} old before the copy was done`,
        ),
      ),
    };
  }

  async #keepTwo(): Promise<void> {
    await condition(() => this.#held?.leaving === true, ALONE_FOR);
    for (let inVain = 0; ;) {
      await condition(() => this.#staying < 2 && this.#held !== undefined);
      this.#start(this.#held);
      // if all workers were asked to stop, their grace period is short
      await condition(() => this.#staying === 0, Math.min(PAUSE * 2 ** inVain, LONGEST_PAUSE));
      inVain = this.#staying < 2 ? inVain + 1 : 0;
    }
  }
}

/**
 * Runs work on one snapshot, which is released at the end, however it ends.
 *
 * Rejects with the loss of the snapshot if that comes first; the work is cancelled and waited for.
 */
export async function withSnapshot(
  request: SnapshotRequest,
  companion: boolean,
  work: (relay: SnapshotRelay) => Promise<void>,
): Promise<void> {
  const relay = new SnapshotRelay(request, companion);
  const working = new CancellationScope();
  const watching = new CancellationScope();
  void watching
    .run(async () => condition(() => relay.failure !== undefined))
    .then(() => working.cancel())
    .catch(() => undefined);
  try {
    await working.run(async () => work(relay));
  } catch (error) {
    // a lost snapshot cancels the work: the loss is the cause
    throw relay.failure?.error ?? error;
  } finally {
    watching.cancel();
    relay.close();
  }
}
