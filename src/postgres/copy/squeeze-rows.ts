/** CopyData: its type, and a length that counts itself. */
export const COPY_DATA = 0x64; // 'd'
export const HEADER = 5;

/** Where in a buffer the next byte goes, and where the next one comes from. */
export interface Places {
  readonly write: number;
  readonly read: number;
}

/**
 * Moves the rows of all CopyData messages that are whole up to where is written, without their headers.
 *
 * It is what the worker does for each row, and all that it does: nothing is called but what moves the bytes.
 *
 * @returns where the first byte is that is no whole message of that type
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
