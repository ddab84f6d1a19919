import type { Connection } from 'pg';
import { DatakitError } from '../../contract/failures.ts';
import { LendingSocket, type Borrower } from './lending-socket.ts';

/**
 * The socket of a connection, read in place of the driver, which makes an object of every
 * message: for a COPY one per row, for a stream of changes one per change.
 *
 * Data is only lent to the borrower if the socket is a {@link LendingSocket}; from any other
 * socket (TLS) it gets buffers of its own.
 */
export class BorrowedSocket {
  readonly #socket: NodeJS.Socket;
  readonly #driver: Listener;
  readonly #onData: Listener;
  #borrowed = true;

  constructor({ stream }: Connection, borrower: Borrower) {
    const driver = stream.listeners('data').find(isListener);
    if (driver === undefined)
      throw new DatakitError('Unexpected', 'the driver does not listen to its socket');
    this.#socket = stream;
    this.#driver = driver;
    this.#onData = (data) => borrower(data, () => undefined);
    stream.off('data', driver);
    if (stream instanceof LendingSocket) stream.lendTo(borrower);
    else stream.on('data', this.#onData);
  }

  /** False once the driver listens again. */
  get borrowed(): boolean {
    return this.#borrowed;
  }

  /** Stops reading; backpressure then makes the server wait. */
  pause(): void {
    if (this.#borrowed) this.#socket.pause();
  }

  resume(): void {
    if (this.#borrowed) this.#socket.resume();
  }

  write(message: Buffer): void {
    if (this.#borrowed && this.#socket.writable) this.#socket.write(message);
  }

  /** @param rest received data that belongs to the driver, which may keep it */
  giveBack(rest?: Buffer): void {
    if (!this.#borrowed) return;
    this.#borrowed = false;
    if (this.#socket instanceof LendingSocket) this.#socket.lendTo(undefined);
    else this.#socket.off('data', this.#onData);
    this.#socket.on('data', this.#driver);
    this.#socket.resume(); // it may be paused, and the driver must receive what comes next
    if (rest !== undefined) this.#driver(rest);
  }
}

type Listener = (data: Buffer) => void;

/** Narrows a listener, which emitters return without a signature. */
function isListener(listener: unknown): listener is Listener {
  return typeof listener === 'function';
}
