import type { Connection } from 'pg';
import { DatakitError } from '../../contract/failures.ts';
import { LendingSocket, type Borrower } from './lending-socket.ts';

/**
 * The socket of a connection, listened to in the place of the driver, which makes an object of
 * every message: for a COPY one for each row, for a stream of changes one for each change.
 *
 * Data is only lent to the borrower where the socket is a {@link LendingSocket}; of any other
 * socket (TLS, a Unix domain socket) it gets buffers that are nobody else's.
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

  /** False from the moment that the driver listens again. */
  get borrowed(): boolean {
    return this.#borrowed;
  }

  /** Stops reading; the server then waits with what it has. */
  pause(): void {
    if (this.#borrowed) this.#socket.pause();
  }

  resume(): void {
    if (this.#borrowed) this.#socket.resume();
  }

  write(message: Buffer): void {
    if (this.#borrowed && this.#socket.writable) this.#socket.write(message);
  }

  /** @param rest what was received and belongs to the driver, which may keep it */
  giveBack(rest?: Buffer): void {
    if (!this.#borrowed) return;
    this.#borrowed = false;
    if (this.#socket instanceof LendingSocket) this.#socket.lendTo(undefined);
    else this.#socket.off('data', this.#onData);
    this.#socket.on('data', this.#driver);
    this.#socket.resume(); // it may be paused, and the driver must hear what comes next
    if (rest !== undefined) this.#driver(rest);
  }
}

type Listener = (data: Buffer) => void;

/** Emitters give their listeners without a signature. */
function isListener(listener: unknown): listener is Listener {
  return typeof listener === 'function';
}
