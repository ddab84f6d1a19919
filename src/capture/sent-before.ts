import type { LastChange } from '../bronze/cdc/positions.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/replication/lsn.ts';

export interface SentBefore {
  readonly slot: string;
  /** Everything that commits before it was sent once, and what was wanted of it is in the log of changes. */
  readonly position: string;
  readonly last: LastChange | null;
  /** Where the slot starts to send. */
  readonly confirmed: string;
}

/**
 * Returns the place of something in the order in which a slot sends it, comparable by size.
 *
 * A transaction is identified by where its commit record begins, a message outside of transactions by where its
 * record ends. Both may be the same position; then the message comes first.
 */
const placeOf = (lsn: Lsn, kind: 'message' | 'transaction'): bigint =>
  2n * lsn + (kind === 'message' ? 0n : 1n);

const kindOf = (xid: unknown) => (xid == null ? 'message' : 'transaction');

/** A transaction whose commit begins at a position is after it; a message that ends there is before it. */
const isOver = (place: bigint, position: Lsn): boolean => place < placeOf(position, 'transaction');

/**
 * Tells what a slot sends again, because an acknowledgement was lost, from what is new, and checks that it is
 * the same.
 *
 * A server restored from a copy of its files has the same identifier and timeline as before, and its log may
 * since have grown past the stored position. Then other transactions are where ours were.
 */
export class SentBeforeWatch {
  readonly #known: SentBefore;
  readonly #position: Lsn;
  /** The place of the last change in the log of changes. */
  readonly #last: bigint;
  /** True while the slot still has to send that change again. */
  #isAwaited: boolean;

  constructor(known: SentBefore) {
    this.#known = known;
    this.#position = parseLsn(known.position);
    this.#last = placeOf(parseLsn(known.last?.commitLsn ?? '0/0'), kindOf(known.last?.xid));
    this.#isAwaited = known.last !== null && !isOver(this.#last, parseLsn(known.confirmed));
  }

  /**
   * Returns whether what commits there was sent before.
   *
   * @param xid undefined for a message outside of transactions
   * @throws {DatakitError} PositionConflict if it is not what was there
   */
  has(commitLsn: Lsn, xid: number | undefined): boolean {
    const place = placeOf(commitLsn, kindOf(xid));
    if (place === this.#last) {
      if (this.#known.last?.xid !== (xid?.toString() ?? null)) throw this.#conflict(commitLsn);
      this.#isAwaited = false;
    }
    this.#passed(place);
    return isOver(place, this.#position);
  }

  /** Notes that everything before a position was sent. */
  passed(end: Lsn): void {
    this.#passed(placeOf(end, 'message'));
  }

  /** Checks a wanted change that was sent before: it must be in the log of changes. */
  expectKnown(commitLsn: Lsn, xid: number | undefined): void {
    if (placeOf(commitLsn, kindOf(xid)) > this.#last) throw this.#conflict(commitLsn);
  }

  #passed(place: bigint): void {
    if (this.#isAwaited && place > this.#last) throw this.#conflict(this.#last / 2n);
  }

  #conflict(at: Lsn): DatakitError {
    const { slot, position } = this.#known;
    return new DatakitError(
      'PositionConflict',
      `The slot "${slot}" has another transaction at ${formatLsn(at)} than the one that it sent before, and the warehouse has changes up to ${position}: the source was restored from a backup`,
    );
  }
}
