import {
  ChangeRows,
  nameBytes,
  type CaptureIdentity,
  type RelationBytes,
} from '../bronze/cdc/change-rows.ts';
import { MirrorBatch, type MirrorValue, type RowMove } from '../bronze/cdc/mirror-batch.ts';
import type { LastChange } from '../bronze/cdc/positions.ts';
import type { CaptureTable } from '../bronze/cdc/tables.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { JsonColumns } from '../postgres/replication/json-values.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/replication/lsn.ts';
import {
  isoTime,
  NULL_VALUE,
  PgOutputDecoder,
  TEXT_VALUE,
  UNCHANGED,
  type ChangeHandler,
  type LogicalMessage,
  type OldKind,
  type Relation,
  type TransactionBegin,
  type Tuple,
} from '../postgres/replication/pgoutput.ts';
import { HEARTBEAT_PREFIX } from '../postgres/replication/slots.ts';
import { WalStream, type WalConsumer } from '../postgres/replication/wal-stream.ts';
import { SentBeforeWatch, type SentBefore } from './sent-before.ts';

/** Bytes decoded while the warehouse is busy with the previous segment; then the source waits. */
const SEGMENT_BYTES = 4 * 1024 * 1024;

/** A step of applying changes to the copy of a table. */
export type MirrorStep =
  | {
      readonly kind: 'relation';
      readonly relation: Relation;
      /** Indexes of the columns that the following batches use as the key. */
      readonly key: readonly number[];
    }
  | { readonly kind: 'batch'; readonly batch: MirrorBatch }
  /** The table comes under another name from here on, in a transaction that commits at `commitLsn`. */
  | { readonly kind: 'renamed'; readonly to: string; readonly commitLsn: string }
  /** A row arrived without all of its values. The reason is the end of a sentence. */
  | { readonly kind: 'unknown row'; readonly reason: string }
  | { readonly kind: 'move'; readonly columns: readonly string[]; readonly move: RowMove };

/** An update that brings a row into the publication's filter is sent as an INSERT, without what it did not touch. */
const CAME_INCOMPLETE = 'a row came into the row filter of the publication without its large values';
/** Of an old row, PostgreSQL sends the columns that identify it in its partition. */
const OTHERWISE_IDENTIFIED =
  'an old row came without its key, since its partition identifies rows by other columns than the table';

/** A boundary between transactions: the position there, and what came before. */
export interface Boundary {
  readonly position: string;
  /** ISO 8601; null if no transaction ended. */
  readonly committedAt: string | null;
  /** The last change logged; null if none was. */
  readonly last: LastChange | null;
  readonly transactions: number;
}

/** A part of the stream, as large as may be buffered. */
export interface Segment {
  readonly rows: ChangeRows;
  /** By table, in the order of the stream; only for tables that have a copy. */
  readonly mirror: ReadonlyMap<string, readonly MirrorStep[]>;
  /** Tables that the publication sends but the capture does not have. */
  readonly relations: readonly Relation[];
  /** Absent if it ends in the middle of a transaction. */
  readonly end: Boundary | undefined;
}

interface FeedOrigin extends CaptureIdentity {
  /** The encoding of the source's database, such as `UTF8`. */
  readonly encoding: string;
}

interface KnownTable extends RelationBytes {
  readonly id: string;
  /** The table of the capture; undefined if only the publication has it. */
  readonly table: CaptureTable | undefined;
  /** Changes that commit before it are not logged. */
  readonly logFrom: Lsn;
  /** Changes that commit before it are in the copy. */
  readonly copiedAt: Lsn;
  /** True once the stream's description of its columns was heeded, which the first wanted change triggers. */
  isFollowed: boolean;
  /** Indexes of the key columns, if changes are applied to a copy. */
  readonly key: readonly number[] | undefined;
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
  readonly #tables: ReadonlyMap<string, CaptureTable>;
  readonly #known = new Map<number, KnownTable>();
  /** Names of types that are not built in. */
  readonly types = new Map<number, TableName>();
  #rows: ChangeRows;
  #spare: ChangeRows | undefined;
  #mirror = new Map<string, MirrorStep[]>();
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
  #heard = Date.now();

  constructor(
    statement: string,
    capture: FeedOrigin,
    tables: readonly CaptureTable[],
    sentBefore: SentBefore,
  ) {
    this.#capture = capture;
    this.#tables = new Map(tables.map((table) => [formatTableName(table), table]));
    this.#rows = this.#newRows();
    this.#sentBefore = new SentBeforeWatch(sentBefore);
    this.#reached = this.#taken = parseLsn(sentBefore.position);
    this.#sent = parseLsn(sentBefore.confirmed);
    this.stream = new WalStream(statement, this);
  }

  /** When the stream last advanced, in milliseconds since 1970. */
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

  /** Takes back the buffer of a segment that was written. */
  release(rows: ChangeRows): void {
    rows.clear();
    this.#spare = rows;
  }

  /** Checks again whether there is something to take. */
  readonly wake = (): void => {
    this.#wake?.();
  };

  readonly onData = (buffer: Buffer, from: number, to: number, lsn: Lsn): void => {
    this.#heard = Date.now();
    this.#decoder.decode(buffer, from, to, lsn);
  };

  /** Everything committed before has been sent and decoded, unless a transaction is under way. */
  readonly onKeepalive = (end: Lsn): void => {
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
    const id = formatTableName(relation);
    const table = this.#tables.get(id);
    const mirrored = table?.mirrored === true && table.status === 'live';
    const before = this.#known.get(relation.oid);
    const goesOn = before?.isFollowed === true && before.table === table;
    this.#known.set(relation.oid, {
      relation,
      id,
      table,
      json: new JsonColumns(relation.columns),
      name: nameBytes(relation),
      logFrom: table?.logFrom == null ? 0n : parseLsn(table.logFrom),
      copiedAt: table?.copiedAt == null ? 0n : parseLsn(table.copiedAt),
      isFollowed: false,
      key: mirrored ? keyIndexes(relation, goesOn ? describedBy(before) : table) : undefined,
    });
  };

  readonly onInsert = (relation: Relation, row: Tuple, lsn: Lsn): void => {
    const known = this.#wanted(relation);
    if (known === undefined) return;
    this.#rows.row('INSERT', this.#next(), lsn, known, row, undefined);
    if (!this.#isApplied(known)) return;
    const values = valuesOf(row);
    if (values.includes(undefined)) this.#lose(known, CAME_INCOMPLETE);
    else this.#batchOf(known).insert(values);
  };

  readonly onUpdate = (relation: Relation, row: Tuple, old: Tuple, kind: OldKind, lsn: Lsn): void => {
    const known = this.#wanted(relation);
    if (known === undefined) return;
    this.#rows.row('UPDATE', this.#next(), lsn, known, row, oldOf(old, kind));
    if (!this.#isApplied(known)) return;
    const batch = this.#batchOf(known);
    const values = valuesOf(row);
    const before = kind === 'none' ? undefined : valuesOf(old, kind === 'key' ? relation : undefined);
    if (before !== undefined && !batch.hasKey(before)) {
      this.#lose(known, OTHERWISE_IDENTIFIED);
      return;
    }
    const move = batch.update(values, before);
    if (move !== undefined) this.#stepsOf(known.id).push({ kind: 'move', columns: batch.columns, move });
  };

  readonly onDelete = (relation: Relation, old: Tuple, kind: OldKind, lsn: Lsn): void => {
    const known = this.#wanted(relation);
    if (known === undefined) return;
    this.#rows.row('DELETE', this.#next(), lsn, known, undefined, oldOf(old, kind));
    if (!this.#isApplied(known)) return;
    const batch = this.#batchOf(known);
    const before = valuesOf(old, kind === 'key' ? relation : undefined);
    if (batch.hasKey(before)) batch.delete(before);
    else this.#lose(known, OTHERWISE_IDENTIFIED);
  };

  readonly onTruncate: ChangeHandler['onTruncate'] = (relations, options, lsn) => {
    for (const relation of relations) {
      const known = this.#wanted(relation);
      if (known === undefined) continue;
      this.#rows.note('TRUNCATE', this.#next(), lsn, known.name, options);
      if (this.#isApplied(known)) this.#batchOf(known).truncate();
    }
  };

  readonly onMessage = (message: LogicalMessage): void => {
    const { lsn, prefix, transactional } = message;
    if (!transactional) {
      this.#rows.beginWithoutTransaction(lsn);
      this.#arriveAt(lsn, undefined);
      this.#passed(lsn); // where the message ends, unlike the LSN of a change
    }
    if (prefix === HEARTBEAT_PREFIX || !this.#isNew()) return;
    this.#rows.note('MESSAGE', this.#next(), lsn, undefined, {
      prefix,
      ...contentOf(message, this.#capture.encoding),
      transactional,
    });
  };

  get #isFull(): boolean {
    return this.#rows.bytes >= SEGMENT_BYTES;
  }

  #isReady(positionToo: boolean): boolean {
    if (this.#begin !== undefined) return this.#isFull;
    if (this.#rows.count > 0 || this.#mirror.size > 0 || this.#endIsAwaited) return true;
    return positionToo && this.#reached > this.#taken;
  }

  #take(): Segment {
    const segment = {
      rows: this.#rows,
      mirror: this.#mirror,
      relations: this.#relations,
      end: this.#boundary(),
    };
    this.#rows = this.#spare ?? this.#newRows();
    this.#spare = undefined;
    this.#mirror = new Map();
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
    if (end <= this.#reached) return;
    this.#heard = Date.now();
    this.#reached = end;
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
  #wanted({ oid }: Relation): KnownTable | undefined {
    const known = this.#known.get(oid);
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
    const { id, relation, key } = known;
    if (key !== undefined) this.#stepsOf(id).push({ kind: 'relation', relation, key });
    if (known.table === undefined) this.#relations.push(relation);
    this.#leaveName(known);
  }

  /** A table that is kept under its new name is found there to be another one. */
  #leaveName({ id, table, relation: { oid } }: KnownTable): void {
    const commitLsn = formatLsn(this.#at.commitLsn);
    for (const [before, { catalog, status }] of this.#tables) {
      if (catalog?.oid !== oid || before === id) continue;
      if (table?.target != null && status !== 'copying') continue;
      this.#stepsOf(before).push({ kind: 'renamed', to: id, commitLsn });
    }
  }

  #lose({ id }: KnownTable, reason: string): void {
    this.#stepsOf(id).push({ kind: 'unknown row', reason });
  }

  #stepsOf(id: string): MirrorStep[] {
    const steps = this.#mirror.get(id) ?? [];
    this.#mirror.set(id, steps);
    return steps;
  }

  #batchOf({ id, relation, key }: KnownTable): MirrorBatch {
    const steps = this.#stepsOf(id);
    const last = steps.at(-1);
    if (last?.kind === 'batch') return last.batch;
    const batch = new MirrorBatch(relation.columns.map(({ name }) => name), key ?? []); // prettier-ignore
    steps.push({ kind: 'batch', batch });
    return batch;
  }
}

/**
 * Finds the indexes of the key columns, in key order. The key has the names that were known last: a column
 * renamed since is the identity column at the same place, or else the only one with a new name.
 *
 * @returns -1 for a column that is not found; whoever applies the changes checks the others too
 */
function keyIndexes({ columns }: Relation, { key, columns: known }: KeyDescription): number[] {
  const renamed = columns.flatMap(({ name, isKey }, index) => (isKey && !key.includes(name) ? [index] : []));
  return key.map((name) => {
    const named = columns.findIndex((column) => column.name === name);
    if (named !== -1) return named;
    const place = known?.findIndex((column) => column.name === name) ?? -1;
    if (renamed.includes(place)) return place;
    return renamed.length === 1 ? (renamed[0] ?? -1) : -1;
  });
}

interface KeyDescription {
  readonly key: readonly string[];
  readonly columns: readonly { readonly name: string }[] | null;
}

/** Returns how the stream last described a table. */
function describedBy({ relation: { columns }, key = [] }: KnownTable): KeyDescription {
  return { key: key.map((index) => columns[index]?.name ?? ''), columns };
}

/** @param identity given if only its key columns were sent: others come as NULL without having to be */
function valuesOf(tuple: Tuple, identity?: Relation): MirrorValue[] {
  const values: MirrorValue[] = [];
  for (let column = 0; column < tuple.count; column += 1) {
    const kind = tuple.kinds[column];
    if (kind === UNCHANGED || (identity !== undefined && identity.columns[column]?.isKey !== true)) {
      values.push(undefined);
    } else if (kind === NULL_VALUE) {
      values.push(null);
    } else if (kind === TEXT_VALUE) {
      values.push(tuple.buffer.toString('utf8', tuple.starts[column], tuple.ends[column]));
    }
  }
  return values;
}

function oldOf(tuple: Tuple, kind: OldKind) {
  if (kind === 'none') return undefined;
  return { tuple, choice: kind === 'key' ? 'key' : 'sent' } as const;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Encodings whose bytes come as they are: of what a database says that it has, and where it says nothing. */
const AS_UTF8: ReadonlySet<string> = new Set(['UTF8', 'SQL_ASCII']);

/** Returns text if JSON can hold it, otherwise hexadecimal. The server sends contents in its own encoding. */
function contentOf(
  { content }: LogicalMessage,
  encoding: string,
): { content: string; encoding: 'utf8' | 'hex' } {
  try {
    const isReadable = AS_UTF8.has(encoding) || content.every((byte) => byte < 0x80);
    const text = isReadable ? utf8.decode(content) : '\0';
    if (!text.includes('\0')) return { content: text, encoding: 'utf8' };
  } catch {
    // not text
  }
  return { content: content.toString('hex'), encoding: 'hex' };
}
