import { COPY_DATA, HEADER } from '../protocol.ts';

/** Positions in a buffer at which to write and read next. */
export interface Places {
  readonly write: number;
  readonly read: number;
}

/**
 * Moves the rows of all complete CopyData messages to the write position, without their headers.
 *
 * This is all that the worker does per row, so it calls nothing but what moves the bytes.
 *
 * @returns the next positions; `read` is at the first byte that does not begin a complete CopyData message
 */
export function squeezeRows(chunk: Buffer, places: Places): Places {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
  let { write, read } = places;
  while (chunk.length - read >= HEADER && view.getUint8(read) === COPY_DATA) {
    const end = read + 1 + view.getInt32(read + 1);
    if (end > chunk.length) break;
    chunk.copyWithin(write, read + HEADER, end);
    write += end - read - HEADER;
    read = end;
  }
  return { write, read };
}
