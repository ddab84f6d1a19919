import { Socket, type ConnectOpts, type SocketConstructorOpts } from 'node:net';

/** Takes a part of what a socket received, and gives its memory back when it is done with it. */
export type Borrower = (data: Buffer, giveBack: () => void) => void;

/** What the server sends between two COPYs is little. */
const SMALL = 16 * 1024;
/** What a COPY reads at most at once: as much as the kernel is likely to have. */
const LARGE = 256 * 1024;
/** More than this are never on their way in one COPY, so more are not kept. */
const KEPT = 3;
/** Bytes before what is lent that nobody uses: whoever passes it on can put the header of a message there. */
const ROOM = 8;
/** All memory that is lent with room before it. */
const roomy = new WeakSet<ArrayBufferLike>();

/** What is lent, from its beginning, with so many bytes before it that may be written; nothing where there is no such room. */
export function withRoom(data: Buffer, bytes: number): Buffer | undefined {
  if (bytes > ROOM || data.byteOffset !== ROOM || !roomy.has(data.buffer)) return undefined;
  return Buffer.from(data.buffer, data.byteOffset - bytes, bytes + data.length);
}

/**
 * A socket that receives into the same memory again and again.
 *
 * Node makes a new buffer of 64 kB for whatever arrives. For a COPY of gigabytes the garbage
 * collector then has to find each of them, and costs more CPU than all else in the worker.
 * While somebody borrows, data goes to the borrower and nowhere else; otherwise it is given to
 * the listeners of `data` as copies, which they may keep.
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

  /** Gives to the borrower what arrives from now on; nobody gives it back to the listeners. */
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

  /** @param memory as it was given by {@link next} */
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
