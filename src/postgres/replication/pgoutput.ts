import { DatakitError } from '../../contract/failures.ts';
import type { TableName } from '../../contract/table-name.ts';
import type { Lsn } from './lsn.ts';

/** Microseconds from 1970 to 2000, PostgreSQL's epoch. */
export const POSTGRES_EPOCH = 946_684_800_000_000n;

/** A column as the stream describes it, in the stream's order. */
export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  /** -1 if the type has no modifier. */
  readonly modifier: number;
  /** True if it is part of the replica identity. */
  readonly isKey: boolean;
}

/** A table as it was when the following changes were made. */
export interface Relation extends TableName {
  readonly oid: number;
  /** `d` primary key, `i` an index, `f` all columns, `n` nothing. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

export interface TransactionBegin {
  /** Position of its commit record, which orders transactions. */
  readonly commitLsn: Lsn;
  /** Microseconds since 2000, as in PostgreSQL. */
  readonly committedAt: bigint;
  readonly xid: number;
}

export const NULL_VALUE = 0x6e; // 'n'
/** A value stored outside the row (TOAST) that the update did not change, so it is not sent. */
export const UNCHANGED = 0x75; // 'u'
export const TEXT_VALUE = 0x74; // 't'

/** The values of a row, as positions in the message's buffer. Only lent: one object is reused for all rows. */
export class Tuple {
  buffer: Buffer = Buffer.alloc(0);
  count = 0;
  /** Bytes in the message. */
  size = 0;
  kinds = new Uint8Array(64);
  starts = new Float64Array(64);
  ends = new Float64Array(64);

  reserve(columns: number): void {
    this.count = columns;
    if (this.kinds.length >= columns) return;
    this.kinds = new Uint8Array(columns);
    this.starts = new Float64Array(columns);
    this.ends = new Float64Array(columns);
  }
}

/** What an update or delete contains of the old row: nothing, its key, or all of it. */
export type OldKind = 'none' | 'key' | 'row';

export interface ChangeHandler {
  readonly onBegin: (begin: TransactionBegin) => void;
  /** @param end the position after the commit record, from which to continue */
  readonly onCommit: (end: Lsn) => void;
  readonly onRelation: (relation: Relation) => void;
  /** Called with the name of a type that does not come with the server; for a domain, with that of its base type. */
  readonly onType: (oid: number, name: TableName) => void;
  readonly onInsert: (relation: Relation, row: Tuple, lsn: Lsn) => void;
  readonly onUpdate: (relation: Relation, row: Tuple, old: Tuple, kind: OldKind, lsn: Lsn) => void;
  readonly onDelete: (relation: Relation, old: Tuple, kind: OldKind, lsn: Lsn) => void;
  readonly onTruncate: (relations: readonly Relation[], options: TruncateOptions, lsn: Lsn) => void;
  readonly onMessage: (message: LogicalMessage) => void;
}

export interface TruncateOptions {
  readonly cascade: boolean;
  readonly restartIdentity: boolean;
}

/** A message written by `pg_logical_emit_message`. */
export interface LogicalMessage {
  readonly transactional: boolean;
  readonly lsn: Lsn;
  readonly prefix: string;
  /** Only lent. */
  readonly content: Buffer;
}

/**
 * Decodes the messages of pgoutput.
 *
 * Protocol version 1 suffices: later versions add the streaming of uncommitted transactions and
 * two-phase commits, neither of which is requested.
 * See https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html.
 */
export class PgOutputDecoder {
  readonly #handler: ChangeHandler;
  readonly #relations = new Map<number, Relation>();
  readonly #row = new Tuple();
  readonly #old = new Tuple();

  constructor(handler: ChangeHandler) {
    this.#handler = handler;
  }

  decode(buffer: Buffer, from: number, to: number, lsn: Lsn): void {
    const reader = from + 1;
    switch (String.fromCharCode(buffer[from] ?? 0)) {
      case 'I':
        return this.#insert(buffer, reader, lsn);
      case 'U':
        return this.#update(buffer, reader, lsn);
      case 'D':
        return this.#delete(buffer, reader, lsn);
      case 'B':
        return this.#handler.onBegin({
          commitLsn: buffer.readBigUInt64BE(reader),
          committedAt: buffer.readBigInt64BE(reader + 8),
          xid: buffer.readUInt32BE(reader + 16),
        });
      case 'C': // flags, position of the commit record, position after it, time
        return this.#handler.onCommit(buffer.readBigUInt64BE(reader + 9));
      case 'R':
        return this.#relation(buffer, reader);
      case 'Y':
        return this.#type(buffer, reader);
      case 'T':
        return this.#truncate(buffer, reader, lsn);
      case 'M':
        return this.#message(buffer, reader);
      case 'O': // the origin of a transaction that was replicated to the source itself
        return undefined;
      default:
        throw new DatakitError(
          'Unexpected',
          `pgoutput sent a message of the unknown type ${buffer[from]} (${to - from} bytes)`,
        );
    }
  }

  #insert(buffer: Buffer, at: number, lsn: Lsn): void {
    const relation = this.#relationOf(buffer.readUInt32BE(at));
    readTuple(this.#row, buffer, at + 5);
    this.#handler.onInsert(relation, this.#row, lsn);
  }

  #update(buffer: Buffer, at: number, lsn: Lsn): void {
    const relation = this.#relationOf(buffer.readUInt32BE(at));
    const kind = oldKind(buffer[at + 4]);
    let next = at + 5;
    if (kind === 'none') this.#old.reserve(0);
    else next = readTuple(this.#old, buffer, next) + 1;
    readTuple(this.#row, buffer, next);
    this.#handler.onUpdate(relation, this.#row, this.#old, kind, lsn);
  }

  #delete(buffer: Buffer, at: number, lsn: Lsn): void {
    const relation = this.#relationOf(buffer.readUInt32BE(at));
    readTuple(this.#old, buffer, at + 5);
    this.#handler.onDelete(relation, this.#old, oldKind(buffer[at + 4]), lsn);
  }

  #relation(buffer: Buffer, from: number): void {
    const schema = readString(buffer, from + 4);
    const name = readString(buffer, schema.end);
    const count = buffer.readUInt16BE(name.end + 1);
    const columns: RelationColumn[] = [];
    let at = name.end + 3;
    for (let index = 0; index < count; index += 1) {
      const column = readString(buffer, at + 1);
      columns.push({
        name: column.text,
        isKey: (buffer.readUInt8(at) & 1) === 1,
        typeOid: buffer.readUInt32BE(column.end),
        modifier: buffer.readInt32BE(column.end + 4),
      });
      at = column.end + 8;
    }
    const relation: Relation = {
      oid: buffer.readUInt32BE(from),
      schema: schema.text === '' ? 'pg_catalog' : schema.text,
      name: name.text,
      replicaIdentity: String.fromCharCode(buffer.readUInt8(name.end)),
      columns,
    };
    this.#relations.set(relation.oid, relation);
    this.#handler.onRelation(relation);
  }

  #type(buffer: Buffer, from: number): void {
    const schema = readString(buffer, from + 4);
    const name = readString(buffer, schema.end);
    const found = { schema: schema.text === '' ? 'pg_catalog' : schema.text, name: name.text };
    this.#handler.onType(buffer.readUInt32BE(from), found);
  }

  #truncate(buffer: Buffer, from: number, lsn: Lsn): void {
    const count = buffer.readUInt32BE(from);
    const options = buffer.readUInt8(from + 4);
    const relations = Array.from({ length: count }, (_, index) =>
      this.#relationOf(buffer.readUInt32BE(from + 5 + 4 * index)),
    );
    const meant = { cascade: (options & 1) !== 0, restartIdentity: (options & 2) !== 0 };
    this.#handler.onTruncate(relations, meant, lsn);
  }

  #message(buffer: Buffer, from: number): void {
    const prefix = readString(buffer, from + 9);
    const length = buffer.readUInt32BE(prefix.end);
    this.#handler.onMessage({
      transactional: (buffer.readUInt8(from) & 1) === 1,
      lsn: buffer.readBigUInt64BE(from + 1),
      prefix: prefix.text,
      content: buffer.subarray(prefix.end + 4, prefix.end + 4 + length),
    });
  }

  #relationOf(oid: number): Relation {
    const relation = this.#relations.get(oid);
    if (relation !== undefined) return relation;
    throw new DatakitError('Unexpected', `pgoutput sent a change of the unknown relation ${oid}`);
  }
}

/** Formats a time to the microsecond: `2026-01-31T12:00:00.000000Z`. @param microseconds since 2000 */
export function isoTime(microseconds: bigint): string {
  const since1970 = microseconds + POSTGRES_EPOCH;
  const seconds = since1970 / 1_000_000n;
  const rest = (since1970 % 1_000_000n).toString().padStart(6, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${rest}Z`;
}

function oldKind(kind: number | undefined): OldKind {
  if (kind === 0x4b) return 'key'; // 'K'
  return kind === 0x4f ? 'row' : 'none'; // 'O'
}

/** Locates the values of a row; returns the position after it. */
function readTuple(tuple: Tuple, buffer: Buffer, from: number): number {
  const count = (buffer[from] ?? 0) * 256 + (buffer[from + 1] ?? 0);
  tuple.reserve(count);
  tuple.buffer = buffer;
  let at = from + 2;
  for (let column = 0; column < count; column += 1) {
    const kind = buffer[at] ?? 0;
    tuple.kinds[column] = kind;
    at += 1;
    if (kind === NULL_VALUE || kind === UNCHANGED) continue;
    if (kind !== TEXT_VALUE) throw new DatakitError('Unexpected', `pgoutput sent a value of kind ${kind}`);
    const start = at + 4;
    at = start + buffer.readUInt32BE(at);
    tuple.starts[column] = start;
    tuple.ends[column] = at;
  }
  tuple.size = at - from;
  return at;
}

/** Reads a text that ends with a zero byte; returns it and the position after it. */
function readString(buffer: Buffer, from: number): { readonly text: string; readonly end: number } {
  const end = buffer.indexOf(0, from);
  return { text: buffer.toString('utf8', from, end), end: end + 1 };
}
