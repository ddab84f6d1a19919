/** A growing buffer to which values are appended. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(wanted, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  int16(value: number): void {
    this.reserve(2);
    this.length = this.bytes.writeInt16BE(value, this.length);
  }

  int32(value: number): void {
    this.reserve(4);
    this.length = this.bytes.writeInt32BE(value, this.length);
  }

  /** Writes at a place that was left for it. */
  int32At(value: number, at: number): void {
    this.bytes.writeInt32BE(value, at);
  }

  uint64(value: bigint): void {
    this.reserve(8);
    this.length = this.bytes.writeBigUInt64BE(value, this.length);
  }

  text(value: string): void {
    this.reserve(value.length * 3);
    this.length += this.bytes.write(value, this.length);
  }

  /** Copies short ranges byte by byte, which is faster than calling `copy`. */
  copy(from: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    if (end - start > 48) {
      this.length += from.copy(this.bytes, this.length, start, end);
      return;
    }
    const { bytes } = this;
    let at = this.length;
    for (let index = start; index < end; index += 1) bytes[at++] = from[index] ?? 0;
    this.length = at;
  }
}
