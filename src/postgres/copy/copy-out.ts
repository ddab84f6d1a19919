import type { Connection, Submittable } from 'pg';
import {
  COPY_DATA,
  COPY_DONE,
  COPY_OUT_RESPONSE,
  HEADER,
  NOTICE,
  NOTIFICATION,
  PARAMETER_STATUS,
} from '../protocol.ts';
import { Settleable } from '../settleable.ts';
import { BorrowedSocket } from './borrowed-socket.ts';
import { copiedRows } from './copied-rows.ts';
import type { Borrower } from './lending-socket.ts';
import { squeezeRows, type Places } from './squeeze-rows.ts';

/** Number of buffers in use at once: one is written while another is read. */
const ON_THEIR_WAY = 2;

/**
 * `COPY … TO STDOUT` that hands out its data as it arrives, and stops reading while too much of it is in use.
 *
 * A server sends a message for every row. Unwrapping each into a buffer of its own, as
 * node-pg-copy-streams does, costs more CPU than all else in the worker; here the message headers
 * are squeezed out of each socket buffer in place.
 *
 * For the duration of the COPY it borrows the socket of the driver, and gives it back with the first
 * message that is not part of the COPY.
 * See https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY.
 */
export class CopyOut implements Submittable {
  readonly #statement: string;
  readonly #rows = new Settleable<number>();
  #use: Borrower;
  #socket: BorrowedSocket | undefined;
  #inUse = 0;
  /** Bytes left of the message that the last buffer ended in: data to pass on, or something else to skip. */
  #data = 0;
  #skip = 0;
  /** The beginning of a header that the end of a buffer split. */
  #split: Buffer | undefined;
  #rowCount = 0;

  /** @param use receives all data in order, with a function to call when its memory can be reused */
  constructor(statement: string, use: Borrower) {
    this.#statement = statement;
    this.#use = use;
  }

  /** Number of rows the server says it sent. Resolves when all data is handed out and the server is ready again. */
  get rows(): Promise<number> {
    return this.#rows.promise;
  }

  /** Skips all further data: the server does not know yet that nobody wants it. */
  discard(): void {
    this.#use = (_, giveBack) => giveBack();
    this.#socket?.resume();
  }

  submit(connection: Connection): void {
    this.#socket = new BorrowedSocket(connection, this.#receive);
    connection.query(this.#statement);
  }

  handleError(error: Error): void {
    this.#socket?.giveBack();
    this.#rows.reject(error);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rowCount = copiedRows(message);
  }

  handleReadyForQuery(): void {
    this.#rows.resolve(this.#rowCount);
  }

  readonly #receive: Borrower = (received, giveBack) => {
    const chunk = this.#split === undefined ? received : Buffer.concat([this.#split, received]);
    this.#split = undefined;
    const { data, rest } = this.#squeeze(chunk);
    // the driver may keep what it is given
    const forDriver = rest === undefined ? undefined : Buffer.from(rest);
    if (data > 0) this.#pass(chunk.subarray(0, data), giveBack);
    else giveBack();
    if (forDriver !== undefined) this.#socket?.giveBack(forDriver);
  };

  #pass(data: Buffer, giveBack: () => void): void {
    this.#inUse += 1;
    if (this.#inUse >= ON_THEIR_WAY) this.#socket?.pause();
    this.#use(data, () => {
      giveBack();
      this.#inUse -= 1;
      this.#socket?.resume();
    });
  }

  /** Moves the data in a buffer to its beginning. The `rest`, if any, belongs to the driver. */
  #squeeze(chunk: Buffer): { data: number; rest?: Buffer } {
    let { write, read } = this.#finishMessage(chunk);
    for (;;) {
      ({ write, read } = squeezeRows(chunk, { write, read }));
      if (chunk.length - read < HEADER) {
        if (read < chunk.length) this.#split = Buffer.from(chunk.subarray(read));
        return { data: write };
      }
      if (!this.#enter(chunk.readUInt8(read), chunk.readUInt32BE(read + 1) - 4)) {
        return { data: write, rest: chunk.subarray(read) };
      }
      ({ write, read } = this.#finishMessage(chunk, { write, read: read + HEADER }));
    }
  }

  /** Moves or skips what a buffer has of the current message. */
  #finishMessage(chunk: Buffer, { write, read }: Places = { write: 0, read: 0 }): Places {
    const data = Math.min(this.#data, chunk.length - read);
    if (data > 0 && write !== read) chunk.copyWithin(write, read, read + data);
    const skipped = Math.min(this.#skip, chunk.length - read - data);
    this.#data -= data;
    this.#skip -= skipped;
    return { write: write + data, read: read + data + skipped };
  }

  /** Begins a message; returns false if it ends the COPY. */
  #enter(type: number, length: number): boolean {
    switch (type) {
      case COPY_DATA:
        this.#data = length;
        return true;
      case COPY_OUT_RESPONSE:
      case COPY_DONE:
      case NOTICE:
      case PARAMETER_STATUS:
      case NOTIFICATION:
        this.#skip = length;
        return true;
      default:
        return false; // CommandComplete, or an ErrorResponse
    }
  }
}
