import type { LastChange } from '../bronze/cdc/positions.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/replication/lsn.ts';

export interface SentBefore {
  readonly slot: string;
  /** All that commits before it was sent once, and what was wanted of it is in the log of changes. */
  readonly position: string;
  readonly last: LastChange | null;
  /** From where the slot sends. */
  readonly confirmed: string;
}

/** A transaction is known by where the record of its commit begins, a message outside of any by where it ends. */
const isOver = (lsn: Lsn, xid: unknown, position: Lsn): boolean =>
  xid == null ? lsn <= position : lsn < position;

/**
 * Tells what a slot sends once more, because an acknowledgement was lost, from what is new, and whether it is the same.
 *
 * A server that was restored from a copy of its files has the same identifier and timeline as before, and its log may
 * have grown past the stored position since. Then other transactions are where ours were.
 */
export class SentBeforeWatch {
  readonly #known: SentBefore;
  readonly #position: Lsn;
  readonly #last: Lsn;
  /** The slot still has to send the last change that is in the log. */
  #isAwaited: boolean;

  constructor(known: SentBefore) {
    this.#known = known;
    this.#position = parseLsn(known.position);
    this.#last = parseLsn(known.last?.commitLsn ?? '0/0');
    this.#isAwaited = known.last !== null && !isOver(this.#last, known.last.xid, parseLsn(known.confirmed));
  }

  /**
   * Whether what commits there was sent before.
   *
   * @param xid undefined for a message outside of transactions
   * @throws {DatakitError} PositionConflict where it is not what was there
   */
  has(commitLsn: Lsn, xid: number | undefined): boolean {
    if (commitLsn === this.#last) {
      if (this.#known.last?.xid !== (xid?.toString() ?? null)) throw this.#conflict(commitLsn);
      this.#isAwaited = false;
    }
    this.passed(commitLsn);
    return isOver(commitLsn, xid, this.#position);
  }

  /** Everything before a position was sent. */
  passed(end: Lsn): void {
    if (this.#isAwaited && end > this.#last) throw this.#conflict(this.#last);
  }

  /** A change that is wanted, of what was sent before: it has to be in the log. */
  expectKnown(commitLsn: Lsn): void {
    if (commitLsn > this.#last) throw this.#conflict(commitLsn);
  }

  #conflict(at: Lsn): DatakitError {
    const { slot, position } = this.#known;
    return new DatakitError(
      'PositionConflict',
      `The slot "${slot}" has another transaction at ${formatLsn(at)} than the one that it sent before, and the warehouse has changes up to ${position}: the source was restored from a backup`,
    );
  }
}
