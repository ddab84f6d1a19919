import { ChangeRows, type CaptureIdentity } from '../bronze/cdc/change-rows.ts';
import type { LastChange } from '../bronze/cdc/positions.ts';
import type { CaptureTable } from '../bronze/cdc/tables.ts';
import type { TableName } from '../contract/table-name.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/replication/lsn.ts';
import {
  isoTime,
  PgOutputDecoder,
  type ChangeHandler,
  type LogicalMessage,
  type OldKind,
  type Relation,
  type TransactionBegin,
  type Tuple,
} from '../postgres/replication/pgoutput.ts';
import { OWN_PREFIX } from '../postgres/replication/own-messages.ts';
import { WalStream, type WalConsumer } from '../postgres/replication/wal-stream.ts';
import { KnownTables, type KnownTable } from './known-tables.ts';
import { contentOf, type Encodings } from './message-content.ts';
import { MirrorSteps } from './mirror-steps.ts';
import type { Boundary, Segment } from './segment.ts';
import { SentBeforeWatch, type SentBefore } from './sent-before.ts';

/** Bytes decoded while the warehouse is busy with the previous segment; then the source waits. */
const SEGMENT_BYTES = 4 * 1024 * 1024;
/** Changes of copies, likewise: those of narrow rows take several times the bytes that are decoded. */
const APPLIED_CHANGES = 5_000;

interface FeedOrigin extends CaptureIdentity {
  /** Those of the databases, such as `UTF8`. */
  readonly encodings: Encodings;
}

/**
 * Decodes a stream into segments for a consumer to take.
 *
 * While one is being written the next is decoded; when that is full, the socket is not read until it is taken,
 * so that memory does not grow with a transaction.
 */
export class ChangeFeed implements ChangeHandler, WalConsumer {
  readonly stream: WalStream;
  readonly #decoder = new PgOutputDecoder(this);
  readonly #capture: FeedOrigin;
  readonly #tables: KnownTables;
  /** Names of types that are not built in. */
  readonly types = new Map<number, TableName>();
  #rows: ChangeRows;
  #spare: ChangeRows | undefined;
  readonly #mirror = new MirrorSteps();
  #relations: Relation[] = [];
  #transactions = 0;
  /** True if the last segment ended within a transaction: its taker waits for the end, even if no change is left. */
  #endIsAwaited = false;
  /** The current transaction. */
  #begin: TransactionBegin | undefined;
  /** What current changes belong to; `xid` is undefined for a message outside of transactions. */
  #at: { readonly commitLsn: Lsn; readonly xid: number | undefined } = { commitLsn: 0n, xid: undefined };
  #ordinal = 0;
  readonly #sentBefore: SentBeforeWatch;
  /** True if what arrives now was sent before. */
  #isOld = false;
  /** Everything before it has been decoded. */
  #reached: Lsn;
  /** Everything before it was sent by this stream, or acknowledged earlier. */
  #sent: Lsn;
  #committedAt: bigint | undefined;
  #last: LastChange | null = null;
  #taken: Lsn;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #heard = performance.now();

  constructor(
    statement: string,
    capture: FeedOrigin,
    tables: readonly CaptureTable[],
    sentBefore: SentBefore,
  ) {
    this.#capture = capture;
    this.#tables = new KnownTables(tables, capture.encodings.warehouse);
    this.#rows = this.#newRows();
    this.#sentBefore = new SentBeforeWatch(sentBefore);
    this.#reached = this.#taken = parseLsn(sentBefore.position);
    this.#sent = parseLsn(sentBefore.confirmed);
    this.stream = new WalStream(statement, this);
  }

  /** When the server last sent something, as `performance.now()` has it: a clock that is set back takes no part. */
  get heardAt(): number {
    return this.#heard;
  }

  /** Everything before it has been decoded. */
  get reached(): string {
    return formatLsn(this.#reached);
  }

  /**
   * Acknowledges what is written, but only as far as the slot has sent it: what the slot sends again is
   * compared before it counts as the same.
   */
  acknowledge(written: string): void {
    const position = parseLsn(written);
    this.stream.acknowledge(position < this.#sent ? position : this.#sent);
  }

  /**
   * Takes what is there as soon as it can be written: whole transactions, or as much of one as may be buffered.
   *
   * @param look called whenever the feed wakes up: whether a bare `position` is wanted too, or the `end`,
   * however much is there
   * @returns undefined at the `end`
   */
  async next(look: () => 'changes' | 'position' | 'end'): Promise<Segment | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const wanted = look();
      if (wanted === 'end') return undefined;
      if (this.#isReady(wanted === 'position')) return this.#take();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Takes back the buffer of a segment that was written, unless a large row has made it so. */
  release(rows: ChangeRows): void {
    if (rows.room > 4 * SEGMENT_BYTES) return;
    rows.clear();
    this.#spare = rows;
  }

  /** Checks again whether there is something to take. */
  readonly wake = (): void => {
    this.#wake?.();
  };

  readonly onData = (buffer: Buffer, from: number, to: number, lsn: Lsn): void => {
    this.#heard = performance.now();
    this.#decoder.decode(buffer, from, to, lsn);
  };

  /** Everything committed before has been sent and decoded, unless a transaction is under way. */
  readonly onKeepalive = (end: Lsn): void => {
    this.#heard = performance.now();
    if (this.#begin !== undefined) return;
    this.#sentBefore.passed(end);
    this.#passed(end);
  };

  readonly onPause = (): void => {
    if (this.#isFull) this.stream.pause();
    this.wake();
  };

  readonly onEnd = (error: Error): void => {
    this.#failure ??= error;
    this.wake();
  };

  readonly onBegin = (begin: TransactionBegin): void => {
    this.#begin = begin;
    this.#arriveAt(begin.commitLsn, begin.xid);
    this.#rows.begin(begin);
  };

  readonly onCommit = (end: Lsn): void => {
    if (this.#ordinal > 0) {
      this.#committedAt = this.#begin?.committedAt;
      this.#transactions += 1;
    }
    this.#begin = undefined;
    this.#passed(end);
  };

  readonly onType = (oid: number, name: TableName): void => {
    this.types.set(oid, name);
  };

  readonly onRelation = (relation: Relation): void => {
    this.#tables.describe(relation);
  };

  readonly onInsert = (relation: Relation, row: Tuple, lsn: Lsn): void => {
    const known = this.#wanted(relation);
    if (known === undefined) return;
    this.#rows.row('INSERT', this.#next(), lsn, known, row, undefined);
    if (this.#isApplied(known)) this.#mirror.insert(known, row);
  };

  readonly onUpdate = (relation: Relation, row: Tuple, old: Tuple, kind: OldKind, lsn: Lsn): void => {
    const known = this.#wanted(relation);
    if (known === undefined) return;
    this.#rows.row('UPDATE', this.#next(), lsn, known, row, oldOf(old, kind));
    if (this.#isApplied(known)) this.#mirror.update(known, row, old, kind);
  };

  readonly onDelete = (relation: Relation, old: Tuple, kind: OldKind, lsn: Lsn): void => {
    const known = this.#wanted(relation);
    if (known === undefined) return;
    this.#rows.row('DELETE', this.#next(), lsn, known, undefined, oldOf(old, kind));
    if (this.#isApplied(known)) this.#mirror.delete(known, old, kind);
  };

  readonly onTruncate: ChangeHandler['onTruncate'] = (relations, options, lsn) => {
    for (const relation of relations) {
      const known = this.#wanted(relation);
      if (known === undefined) continue;
      this.#rows.note('TRUNCATE', this.#next(), lsn, known.name, options);
      if (this.#isApplied(known)) this.#mirror.truncate(known);
    }
  };

  readonly onMessage = (message: LogicalMessage): void => {
    const { lsn, prefix, transactional } = message;
    if (!transactional) {
      this.#rows.beginWithoutTransaction(lsn);
      this.#arriveAt(lsn, undefined);
      this.#passed(lsn); // where the message ends, unlike the LSN of a change
    }
    if (prefix === OWN_PREFIX || !this.#isNew()) return;
    this.#rows.note('MESSAGE', this.#next(), lsn, undefined, {
      prefix,
      ...contentOf(message, this.#capture.encodings),
      transactional,
    });
  };

  get #isFull(): boolean {
    return this.#rows.bytes >= SEGMENT_BYTES || this.#mirror.changes >= APPLIED_CHANGES;
  }

  #isReady(positionToo: boolean): boolean {
    if (this.#begin !== undefined) return this.#isFull;
    if (this.#rows.count > 0 || !this.#mirror.isEmpty || this.#endIsAwaited) return true;
    return positionToo && this.#reached > this.#taken;
  }

  #take(): Segment {
    const segment = {
      rows: this.#rows,
      mirror: this.#mirror.take(),
      relations: this.#relations,
      end: this.#boundary(),
    };
    this.#rows = this.#spare ?? this.#newRows();
    this.#spare = undefined;
    this.#relations = [];
    this.#endIsAwaited = this.#begin !== undefined;
    if (this.#begin !== undefined) this.#rows.begin(this.#begin);
    this.stream.resume();
    return segment;
  }

  #boundary(): Boundary | undefined {
    if (this.#begin !== undefined) return undefined;
    const [transactions, committedAt, last] = [this.#transactions, this.#committedAt, this.#last];
    this.#taken = this.#reached;
    this.#transactions = 0;
    this.#committedAt = undefined;
    this.#last = null;
    return {
      position: formatLsn(this.#reached),
      committedAt: committedAt === undefined ? null : isoTime(committedAt),
      last,
      transactions,
    };
  }

  #passed(end: Lsn): void {
    if (end > this.#sent) this.#sent = end;
    if (end > this.#reached) this.#reached = end;
  }

  #newRows(): ChangeRows {
    return new ChangeRows(this.#capture, SEGMENT_BYTES + SEGMENT_BYTES / 4);
  }

  #arriveAt(commitLsn: Lsn, xid: number | undefined): void {
    this.#at = { commitLsn, xid };
    this.#ordinal = 0;
    this.#isOld = this.#sentBefore.has(commitLsn, xid);
  }

  /** Returns whether a wanted change is not in the log of changes yet. */
  #isNew(): boolean {
    if (this.#isOld) this.#sentBefore.expectKnown(this.#at.commitLsn, this.#at.xid);
    return !this.#isOld;
  }

  /**
   * Returns the place of the next change in its transaction, from 1.
   *
   * For a message outside of transactions it is 0: a commit right after it begins where it ends, and so has its
   * position.
   */
  #next(): number {
    const { commitLsn, xid } = this.#at;
    if (this.#ordinal === 0) this.#last = { commitLsn: formatLsn(commitLsn), xid: xid?.toString() ?? null };
    if (xid === undefined) return 0;
    this.#ordinal += 1;
    return this.#ordinal;
  }

  /** Returns undefined if the change is not to be logged: only the first copy has it, or it was sent before. */
  #wanted(relation: Relation): KnownTable | undefined {
    const known = this.#tables.find(relation);
    if (known === undefined || this.#at.commitLsn < known.logFrom) return undefined;
    if (this.#isOld && known.table === undefined) return undefined;
    if (!this.#isNew()) return undefined;
    if (!known.isFollowed && !this.#isInCopy(known)) this.#follow(known);
    return known;
  }

  #isInCopy({ copiedAt }: KnownTable): boolean {
    return this.#at.commitLsn < copiedAt;
  }

  /** Returns whether the change is to be applied to a copy. */
  #isApplied(known: KnownTable): boolean {
    return known.key !== undefined && !this.#isInCopy(known);
  }

  /** Heeds a description with the first wanted change: one that came with unwanted ones may be outdated. */
  #follow(known: KnownTable): void {
    known.isFollowed = true;
    this.#mirror.describe(known);
    if (known.table === undefined) this.#relations.push(known.relation);
    const commitLsn = formatLsn(this.#at.commitLsn);
    for (const before of this.#tables.namesBefore(known)) this.#mirror.rename(before, known.id, commitLsn);
  }
}

function oldOf(tuple: Tuple, kind: OldKind) {
  if (kind === 'none') return undefined;
  return { tuple, choice: kind === 'key' ? 'key' : 'sent' } as const;
}
