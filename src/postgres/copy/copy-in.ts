import type { Connection, Submittable } from 'pg';
import { COPY_DATA, COPY_DONE, COPY_FAIL, HEADER } from '../protocol.ts';
import { Settleable } from '../settleable.ts';
import { copiedRows } from './copied-rows.ts';
import { withRoom } from './lending-socket.ts';

const DONE = Buffer.from([COPY_DONE, 0, 0, 0, 4]);
/** Without a reason, which only the server's log would have. */
const FAIL = Buffer.from([COPY_FAIL, 0, 0, 0, 5, 0]);

/**
 * `COPY … FROM STDIN` that reports when it is done with each buffer, which is when the kernel has
 * taken it: its memory can then be reused, and no more data than that is ever in flight.
 *
 * See https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY.
 */
export class CopyIn implements Submittable {
  readonly #statement: string;
  readonly #ready = new Settleable<undefined>();
  readonly #rows = new Settleable<number>();
  #connection: Connection | undefined;
  #rowCount = 0;

  constructor(statement: string) {
    this.#statement = statement;
  }

  /** Resolves when the server wants data; rejects if it refuses the statement. */
  get ready(): Promise<unknown> {
    return this.#ready.promise;
  }

  /** Number of rows that the server took. Rejects as soon as the server fails; resolves after {@link end}. */
  get rows(): Promise<number> {
    return this.#rows.promise;
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    connection.query(this.#statement);
  }

  /** @param done called when the data is no longer needed, whether or not it was sent */
  write(data: Buffer, done: () => void): void {
    const stream = this.#connection?.stream;
    if (stream === undefined || stream.destroyed) {
      done();
      return;
    }
    const message = withRoom(data, HEADER);
    const header = message ?? Buffer.allocUnsafe(HEADER);
    header.writeUInt8(COPY_DATA, 0);
    header.writeUInt32BE(data.length + 4, 1);
    if (message !== undefined) {
      stream.write(message, done);
      return;
    }
    stream.cork();
    stream.write(header);
    stream.write(data, done);
    stream.uncork();
  }

  end(): void {
    this.#connection?.stream.write(DONE);
  }

  /** Has the server end the statement: while it waits for data it heeds no request to cancel. */
  discard(): void {
    this.#connection?.stream.write(FAIL);
  }

  handleCopyInResponse(): void {
    this.#ready.resolve(undefined);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rowCount = copiedRows(message);
  }

  handleReadyForQuery(): void {
    this.#connection = undefined;
    this.#rows.resolve(this.#rowCount);
  }

  handleError(error: Error): void {
    this.#connection = undefined;
    this.#ready.reject(error);
    this.#rows.reject(error);
  }
}
