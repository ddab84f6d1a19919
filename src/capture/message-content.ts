import type { LogicalMessage } from '../postgres/replication/pgoutput.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Encodings whose bytes come as they are: of what a database says that it has, and where it says nothing. */
const AS_UTF8: ReadonlySet<string> = new Set(['UTF8', 'SQL_ASCII']);

/** Returns text if JSON can hold it, otherwise hexadecimal. The server sends contents in its own encoding. */
export function contentOf(
  { content }: LogicalMessage,
  encoding: string,
): { content: string; encoding: 'utf8' | 'hex' } {
  try {
    const isReadable = AS_UTF8.has(encoding) || content.every((byte) => byte < 0x80);
    const text = isReadable ? utf8.decode(content) : '\0';
    if (!text.includes('\0')) return { content: text, encoding: 'utf8' };
  } catch {
    // not text
  }
  return { content: content.toString('hex'), encoding: 'hex' };
}
