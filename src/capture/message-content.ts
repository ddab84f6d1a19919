import { escapedLength, LONGEST_IN_JSONB } from '../postgres/replication/json-values.ts';
import type { LogicalMessage } from '../postgres/replication/pgoutput.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Encodings whose bytes come as they are: of what a database says that it has, and where it says nothing. */
const AS_UTF8: ReadonlySet<string> = new Set(['UTF8', 'SQL_ASCII']);

export interface Encodings {
  readonly source: string;
  readonly warehouse: string;
}

/** Beside the content, for the prefix and the rest of the document. */
const ROOM = 1024 * 1024;
/** Node.js has no longer strings, and the document is one while it is written. */
const LONGEST_STRING = 2 ** 29 - 32;

/**
 * Returns text if JSON can hold it, otherwise hexadecimal; of contents that jsonb cannot hold only how large they are.
 * The server sends contents in its own encoding, and other encodings than UTF-8 lack characters.
 */
export function contentOf(
  { content }: LogicalMessage,
  { source, warehouse }: Encodings,
): { content: string | null; encoding: 'utf8' | 'hex' | 'left out'; bytes?: number } {
  const leftOut = { content: null, encoding: 'left out', bytes: content.length } as const;
  if (!fits(content.length, escapedLength(content, 0, content.length))) return leftOut;
  try {
    const isReadable =
      (AS_UTF8.has(source) && AS_UTF8.has(warehouse)) || content.every((byte) => byte < 0x80);
    const text = isReadable ? utf8.decode(content) : '\0';
    if (!text.includes('\0')) return { content: text, encoding: 'utf8' };
  } catch {
    // not text
  }
  if (!fits(2 * content.length, 2 * content.length)) return leftOut;
  return { content: content.toString('hex'), encoding: 'hex' };
}

const fits = (stored: number, written: number): boolean =>
  stored + ROOM <= LONGEST_IN_JSONB && written + ROOM <= LONGEST_STRING;
