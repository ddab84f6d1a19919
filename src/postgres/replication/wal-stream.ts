import type { Connection, Submittable } from 'pg';
import { DatakitError } from '../../contract/failures.ts';
import { BorrowedSocket } from '../copy/borrowed-socket.ts';
import { COPY_BOTH_RESPONSE, COPY_DATA, HEADER, NOTICE, PARAMETER_STATUS } from '../protocol.ts';
import { Settleable } from '../settleable.ts';
import type { Lsn } from './lsn.ts';
import { POSTGRES_EPOCH } from './pgoutput.ts';

/** What CopyData contains, by its first byte. */
const XLOG_DATA = 0x77; // 'w'
const KEEPALIVE = 0x6b; // 'k'
const STATUS_UPDATE = 0x72; // 'r'
const ANSWER_AT_ONCE = 1;

/** Header of XLogData: type, start of its data, end of the log, time. */
const XLOG_HEADER = 25;

export interface WalConsumer {
  /** Called with a message of the output plugin: `from` is included, `to` is not. The buffer is only lent. */
  readonly onData: (buffer: Buffer, from: number, to: number, lsn: Lsn) => void;
  /** Called when everything before this position has been sent. */
  readonly onKeepalive: (end: Lsn) => void;
  /** Called after each socket buffer, once its messages have been delivered. */
  readonly onPause: () => void;
  readonly onEnd: (error: Error) => void;
}

/**
 * `START_REPLICATION` as a stream of messages, and of status updates in the other direction.
 *
 * It borrows the socket of the driver. Reading can be paused; status updates continue, so that
 * the server does not take a slow warehouse for a dead connection.
 */
export class WalStream implements Submittable {
  readonly #statement: string;
  readonly #consumer: WalConsumer;
  #socket: BorrowedSocket | undefined;
  /** A message of which only the beginning has arrived. */
  #partial: Buffer | undefined;
  #filled = 0;
  #started = new Settleable<undefined>();
  #streams = false;
  /** Set once reading a message, or its consumer, has failed. */
  #failed = false;

  constructor(statement: string, consumer: WalConsumer) {
    this.#statement = statement;
    this.#consumer = consumer;
  }

  /** Resolves when the server streams; rejects if it refuses, after which the stream can be submitted again. */
  get started(): Promise<unknown> {
    return this.#started.promise;
  }

  submit(connection: Connection): void {
    this.#socket = new BorrowedSocket(connection, (data, giveBack) => {
      this.#onData(data);
      giveBack();
    });
    connection.query(this.#statement);
  }

  /** Stops reading; backpressure then makes the server wait. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /**
   * Tells the server that everything before this position need not be sent again, and asks how far it is: while it reads
   * log of which it sends nothing, it says nothing by itself.
   */
  acknowledge(position: Lsn): void {
    const message = Buffer.alloc(HEADER + 34);
    message.writeUInt8(COPY_DATA, 0);
    message.writeUInt32BE(message.length - 1, 1);
    message.writeUInt8(STATUS_UPDATE, HEADER);
    // written, flushed and applied are the same: told of more written, a server would send keepalives later
    for (const offset of [1, 9, 17]) message.writeBigUInt64BE(position, HEADER + offset);
    message.writeBigInt64BE(BigInt(Date.now()) * 1000n - POSTGRES_EPOCH, HEADER + 25);
    message.writeUInt8(ANSWER_AT_ONCE, HEADER + 33);
    this.#socket?.write(message);
  }

  handleError(error: Error): void {
    this.#socket?.giveBack();
    if (this.#streams) {
      this.#consumer.onEnd(error);
      return;
    }
    const refused = this.#started;
    this.#started = new Settleable();
    refused.reject(error);
  }

  handleCommandComplete(): void {
    // the server ends a stream by itself when it shuts down
  }

  handleReadyForQuery(): void {
    if (this.#streams) this.handleError(new Error('Connection ended by the server'));
  }

  #onData(received: Buffer): void {
    if (this.#failed) return;
    try {
      this.#read(received);
      this.#consumer.onPause();
    } catch (error) {
      // what still arrives is dropped: the driver would not know where a message begins
      this.#failed = true;
      this.#consumer.onEnd(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #read(received: Buffer): void {
    let at = this.#partial === undefined ? 0 : this.#complete(received);
    while (at < received.length && this.#socket?.borrowed === true) {
      const size = received.length - at < HEADER ? Infinity : received.readUInt32BE(at + 1) + 1;
      if (at + size > received.length) {
        this.#keep(received, at, size);
        return;
      }
      if (!this.#message(received, at, at + size)) {
        this.#socket.giveBack(Buffer.from(received.subarray(at))); // the socket reuses its memory
        return;
      }
      at += size;
    }
  }

  /** Keeps the beginning of a message, with room for all of it as soon as its size is known. */
  #keep(received: Buffer, at: number, size: number): void {
    this.#partial = Buffer.allocUnsafe(Number.isFinite(size) ? size : HEADER);
    this.#filled = received.copy(this.#partial, 0, at);
  }

  /** Adds to the message that was kept; returns how many of the received bytes belong to it. */
  #complete(received: Buffer): number {
    let used = 0;
    let partial = this.#partial ?? received;
    if (this.#filled < HEADER) {
      used = received.copy(partial, this.#filled, 0, HEADER - this.#filled);
      this.#filled += used;
      if (this.#filled < HEADER) return used;
    }
    const size = partial.readUInt32BE(1) + 1;
    if (partial.length < size) {
      const whole = Buffer.allocUnsafe(size);
      partial.copy(whole, 0, 0, this.#filled);
      this.#partial = partial = whole;
    }
    const added = received.copy(partial, this.#filled, used, used + size - this.#filled);
    this.#filled += added;
    if (this.#filled < size) return used + added;
    this.#partial = undefined;
    this.#filled = 0;
    if (!this.#message(partial, 0, size))
      this.#socket?.giveBack(Buffer.concat([partial, received.subarray(used + added)]));
    return used + added;
  }

  /** Handles one message; returns false if it belongs to the driver. */
  #message(buffer: Buffer, from: number, to: number): boolean {
    switch (buffer[from]) {
      case COPY_DATA:
        this.#copyData(buffer, from + HEADER, to);
        return true;
      case COPY_BOTH_RESPONSE:
        this.#streams = true;
        this.#started.resolve(undefined);
        return true;
      case NOTICE:
      case PARAMETER_STATUS:
        return true;
      default:
        return false; // an ErrorResponse, or the end of the stream
    }
  }

  #copyData(buffer: Buffer, from: number, to: number): void {
    switch (buffer[from]) {
      case XLOG_DATA:
        this.#consumer.onData(buffer, from + XLOG_HEADER, to, buffer.readBigUInt64BE(from + 1));
        return;
      case KEEPALIVE:
        this.#consumer.onKeepalive(buffer.readBigUInt64BE(from + 1));
        return;
      default:
        throw new DatakitError('Unexpected', `the walsender sent a message of type ${buffer[from]}`);
    }
  }
}
