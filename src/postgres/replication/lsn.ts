/** A position in the write-ahead log, in bytes from its beginning. Passes through Temporal as text, `16/B374D848`. */
export type Lsn = bigint;

export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  if (match === null) throw new Error(`not a position in the write-ahead log: ${text}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export const isBefore = (one: string, other: string): boolean => parseLsn(one) < parseLsn(other);

export function formatLsn(lsn: Lsn): string {
  const [high, low] = [lsn >> 32n, lsn & 0xffffffffn];
  return `${high.toString(16)}/${low.toString(16)}`.toUpperCase();
}
