import { DatakitError } from '../../contract/failures.ts';
import { formatBytes } from '../../contract/quantities.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { ByteWriter } from '../../postgres/replication/byte-writer.ts';
import { LONGEST_IN_JSONB, type Choice, type JsonColumns } from '../../postgres/replication/json-values.ts';
import { formatLsn, type Lsn } from '../../postgres/replication/lsn.ts';
import {
  UNCHANGED,
  type Relation,
  type TransactionBegin,
  type Tuple,
} from '../../postgres/replication/pgoutput.ts';
import { BRONZE } from '../layout.ts';

export type Operation = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'MESSAGE';

const COLUMNS = [
  'capture_id',
  'commit_lsn',
  'ordinal',
  'lsn',
  'timestamp',
  'xid',
  'operation',
  'slot',
  'schema',
  '"table"',
  'data',
  'old',
  'unchanged',
  'json_nulls',
];

/**
 * Binary, so that values go as they are: an LSN is its eight bytes, and text escaped for JSON is not escaped again
 * for COPY.
 */
export const copyChanges = `COPY ${BRONZE}.cdc_changes (${COLUMNS.join(', ')}) FROM STDIN (FORMAT binary)`;

/** Signature, no flags, no extension: https://www.postgresql.org/docs/current/sql-copy.html. */
const HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
const TRAILER = -1;
const JSONB_VERSION = 1;
const TEXT_OID = 25;
const NULL = -1;

/** The parts that all rows of a relation share, encoded once. */
export interface RelationBytes {
  readonly json: JsonColumns;
  /** Schema and table, each prefixed with its length. */
  readonly name: Buffer;
  readonly relation: Relation;
}

export function nameBytes({ schema, name }: Relation): Buffer {
  return Buffer.concat([field(schema), field(name)]);
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const operationBytes: Readonly<Record<Operation, Buffer>> = {
  INSERT: field('INSERT'),
  UPDATE: field('UPDATE'),
  DELETE: field('DELETE'),
  TRUNCATE: field('TRUNCATE'),
  MESSAGE: field('MESSAGE'),
};

export interface CaptureIdentity {
  readonly captureId: string;
  readonly slot: string;
}

/** Rows of `bronze.cdc_changes` in the binary format of COPY. */
export class ChangeRows {
  readonly #writer: ByteWriter;
  /** The field count and the capture id, the same in all rows. */
  readonly #start: Buffer;
  readonly #slot: Buffer;
  #transaction = Buffer.alloc(0);
  #xid = Buffer.alloc(0);
  #count = 0;

  constructor({ captureId, slot }: CaptureIdentity, size: number) {
    this.#writer = new ByteWriter(size);
    this.#start = Buffer.alloc(2 + 4 + 8);
    this.#start.writeInt16BE(COLUMNS.length, 0);
    this.#start.writeInt32BE(8, 2);
    this.#start.writeBigInt64BE(BigInt(captureId), 6);
    this.#slot = field(slot);
    this.#writer.copy(HEADER, 0, HEADER.length);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#writer.length;
  }

  /** Bytes that are reserved. */
  get room(): number {
    return this.#writer.bytes.length;
  }

  /** Ends the COPY data and returns it, ready to send. */
  finish(): Buffer {
    this.#writer.int16(TRAILER);
    return this.#writer.bytes.subarray(0, this.#writer.length);
  }

  /** Starts over in the same buffer. */
  clear(): void {
    this.#writer.length = HEADER.length;
    this.#count = 0;
  }

  begin({ commitLsn, committedAt, xid }: TransactionBegin): void {
    this.#transaction = Buffer.alloc(12);
    this.#transaction.writeInt32BE(8, 0);
    this.#transaction.writeBigUInt64BE(commitLsn, 4);
    this.#xid = Buffer.alloc(24);
    this.#xid.writeInt32BE(8, 0);
    this.#xid.writeBigInt64BE(committedAt, 4);
    this.#xid.writeInt32BE(8, 12);
    this.#xid.writeBigInt64BE(BigInt(xid), 16);
  }

  /** Begins a message outside of any transaction, which has neither commit time nor xid. */
  beginWithoutTransaction(lsn: Lsn): void {
    this.begin({ commitLsn: lsn, committedAt: 0n, xid: 0 });
    this.#xid = Buffer.from('ffffffffffffffff', 'hex');
  }

  row(
    operation: Operation,
    ordinal: number,
    lsn: Lsn,
    { json, name, relation }: RelationBytes,
    data: Tuple | undefined,
    old: { readonly tuple: Tuple; readonly choice: Choice } | undefined,
  ): void {
    requireRoom(relation, data, lsn);
    requireRoom(relation, old?.tuple, lsn);
    this.#beginRow(operation, ordinal, lsn);
    this.#writer.copy(name, 0, name.length);
    this.#object(json, data, 'sent');
    this.#object(json, old?.tuple, old?.choice ?? 'sent');
    this.#names(data === undefined ? [] : unchangedOf(relation, data));
    this.#names(data === undefined ? [] : json.nullsOf(data));
  }

  /** Adds a change without a row: the TRUNCATE of a table, or a message. */
  note(operation: Operation, ordinal: number, lsn: Lsn, name: Buffer | undefined, data: object): void {
    this.#beginRow(operation, ordinal, lsn);
    if (name === undefined) {
      this.#writer.int32(NULL);
      this.#writer.int32(NULL);
    } else {
      this.#writer.copy(name, 0, name.length);
    }
    const text = Buffer.from(JSON.stringify(data));
    this.#writer.int32(text.length + 1);
    this.#writer.byte(JSONB_VERSION);
    this.#writer.copy(text, 0, text.length);
    this.#writer.int32(NULL);
    this.#names([]);
    this.#names([]);
  }

  #beginRow(operation: Operation, ordinal: number, lsn: Lsn): void {
    const writer = this.#writer;
    writer.copy(this.#start, 0, this.#start.length);
    writer.copy(this.#transaction, 0, this.#transaction.length);
    writer.int32(8);
    // ordinals stay far below the integers that a number holds exactly, so both halves are exact
    writer.int32(Math.floor(ordinal / 0x1_0000_0000));
    writer.int32(ordinal | 0);
    writer.int32(8);
    writer.uint64(lsn);
    writer.copy(this.#xid, 0, this.#xid.length);
    const name = operationBytes[operation];
    writer.copy(name, 0, name.length);
    writer.copy(this.#slot, 0, this.#slot.length);
    this.#count += 1;
  }

  #object(json: JsonColumns, tuple: Tuple | undefined, choice: Choice): void {
    const writer = this.#writer;
    if (tuple === undefined) {
      writer.int32(NULL);
      return;
    }
    const at = writer.length;
    writer.int32(0);
    writer.byte(JSONB_VERSION);
    json.write(writer, tuple, choice);
    writer.int32At(writer.length - at - 4, at);
  }

  /** Writes an array of column names; NULL if there are none. */
  #names(names: readonly string[]): void {
    if (names.length === 0) {
      this.#writer.int32(NULL);
      return;
    }
    const bytes = textArray(names);
    this.#writer.int32(bytes.length);
    this.#writer.copy(bytes, 0, bytes.length);
  }
}

/** @throws {DatakitError} UnsupportedTable if jsonb cannot hold a row */
function requireRoom(relation: Relation, row: Tuple | undefined, lsn: Lsn): void {
  if (row === undefined || row.size <= LONGEST_IN_JSONB) return;
  throw new DatakitError(
    'UnsupportedTable',
    `A row of ${formatTableName(relation)} at ${formatLsn(lsn)} has ${formatBytes(row.size)} as text, and the log of changes can hold ${formatBytes(LONGEST_IN_JSONB)}`,
    {
      advice:
        'The log of the source cannot be read past it: run dropCapture, then start the capture again, which copies all tables again, without the table or with a publication that sends it without its large columns.',
    },
  );
}

function unchangedOf({ columns }: Relation, { count, kinds }: Tuple): string[] {
  const names: string[] = [];
  for (let column = 0; column < count; column += 1) {
    if (kinds[column] === UNCHANGED) names.push(columns[column]?.name ?? '');
  }
  return names;
}

/** Encodes a text array: dimensions (1), NULLs (0), element type, element count, first index, elements. */
function textArray(texts: readonly string[]): Buffer {
  const head = Buffer.alloc(20);
  [1, 0, TEXT_OID, texts.length, 1].forEach((value, index) => head.writeInt32BE(value, index * 4));
  return Buffer.concat([head, ...texts.map(field)]);
}
