import { Socket, type ConnectOpts, type SocketConstructorOpts } from 'node:net';

/** Takes data that a socket received, and gives its memory back when done with it. */
export type Borrower = (data: Buffer, giveBack: () => void) => void;

/** Buffer size between COPYs, when the server sends little. */
const SMALL = 16 * 1024;
/** Most that a COPY reads at once: as much as the kernel is likely to have. */
const LARGE = 256 * 1024;
/** Number of free buffers to keep: one COPY never has more in use. */
const KEPT = 3;
/** Unused bytes before lent data, where whoever passes it on can put a message header. */
const ROOM = 8;
/** All memory that is lent with such room. */
const roomy = new WeakSet<ArrayBufferLike>();

/** Returns lent data with `bytes` writable bytes before it; undefined if there is no such room. */
export function withRoom(data: Buffer, bytes: number): Buffer | undefined {
  if (bytes > ROOM || data.byteOffset !== ROOM || !roomy.has(data.buffer)) return undefined;
  return Buffer.from(data.buffer, data.byteOffset - bytes, bytes + data.length);
}

/**
 * A socket that receives into the same memory again and again.
 *
 * Node makes a new buffer of 64 kB for each read. For a COPY of gigabytes, collecting all of
 * these costs more CPU than all else in the worker.
 * While there is a borrower, data goes only to it; otherwise the listeners of `data` get copies,
 * which they may keep.
 */
export class LendingSocket extends Socket {
  readonly #memory: Memory;

  constructor() {
    const memory = new Memory();
    const options: SocketConstructorOpts & ConnectOpts = {
      onread: {
        buffer: () => memory.next(),
        callback: (length, buffer) => {
          memory.received(buffer, length);
          return !this.isPaused();
        },
      },
    };
    super(options);
    this.#memory = memory;
    memory.unborrowed = (data) => this.emit('data', data);
  }

  /** Sends further data to the borrower; with undefined, to the listeners again. */
  lendTo(borrower: Borrower | undefined): void {
    this.#memory.borrower = borrower;
  }
}

class Memory {
  borrower: Borrower | undefined;
  unborrowed: (data: Buffer) => void = () => undefined;
  readonly #free: Uint8Array[] = [];
  readonly #small = Buffer.allocUnsafeSlow(SMALL);

  next(): Uint8Array {
    if (this.borrower === undefined) return this.#small;
    return this.#free.pop() ?? allocateRoomy(LARGE);
  }

  /** @param memory as returned by {@link next} */
  received(memory: Uint8Array, length: number): void {
    const data = Buffer.from(memory.buffer, memory.byteOffset, length);
    const isSmall = memory === this.#small;
    if (this.borrower === undefined) {
      this.unborrowed(Buffer.from(data));
      if (!isSmall) this.#keep(memory);
    } else if (isSmall) {
      this.borrower(Buffer.from(data), () => undefined);
    } else {
      this.borrower(data, () => this.#keep(memory));
    }
  }

  #keep(memory: Uint8Array): void {
    if (this.#free.length < KEPT) this.#free.push(memory);
  }
}

function allocateRoomy(length: number): Uint8Array {
  const memory = Buffer.allocUnsafeSlow(ROOM + length);
  roomy.add(memory.buffer);
  return memory.subarray(ROOM);
}
