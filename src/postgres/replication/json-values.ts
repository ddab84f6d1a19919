import type { ByteWriter } from './byte-writer.ts';
import { NULL_VALUE, TEXT_VALUE, UNCHANGED, type RelationColumn, type Tuple } from './pgoutput.ts';

/** How the text of a value becomes JSON. */
type JsonKind = 'number' | 'boolean' | 'jsonb' | 'json' | 'string';

/** Kinds by type OID. Types that come with the server have the same OID everywhere: see pg_type.dat. */
const kinds: ReadonlyMap<number, JsonKind> = new Map<number, JsonKind>([
  [16, 'boolean'],
  [20, 'number'], // bigint
  [21, 'number'], // smallint
  [23, 'number'], // integer
  [26, 'number'], // oid
  [700, 'number'], // real
  [701, 'number'], // double precision
  [1700, 'number'], // numeric
  [114, 'json'],
  [3802, 'jsonb'],
]);

/** Returns true if values of a type are JSON documents. */
export const isJson = (typeOid: number): boolean => ['json', 'jsonb'].includes(kinds.get(typeOid) ?? '');

/** The most bytes that jsonb can hold, in one text and in all texts of a document together. */
export const LONGEST_IN_JSONB = 2 ** 28 - 1;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const BLANK = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const [OPEN, CLOSE, COMMA] = [0x7b, 0x7d, 0x2c];

/** Which columns of a row go into an object: all that were sent, or the key. */
export type Choice = 'sent' | 'key';

/** Writes rows of a relation as JSON; made once, used for each of its rows. */
export class JsonColumns {
  readonly #kinds: readonly JsonKind[];
  /** `"name":` for each column. */
  readonly #names: readonly Buffer[];
  readonly #isKey: readonly boolean[];
  /** Columns that hold JSON documents, by position. */
  readonly #documents: readonly { readonly column: number; readonly name: string }[];
  readonly #encoding: string;

  /** @param encoding of the database that stores the objects */
  constructor(columns: readonly RelationColumn[], encoding: string) {
    this.#encoding = encoding;
    this.#kinds = columns.map(({ typeOid }) => kinds.get(typeOid) ?? 'string');
    this.#names = columns.map(({ name }) => Buffer.from(`${JSON.stringify(name)}:`));
    this.#isKey = columns.map(({ isKey }) => isKey);
    this.#documents = columns.flatMap(({ name, typeOid }, column) =>
      isJson(typeOid) ? [{ column, name }] : [],
    );
  }

  /** Returns the columns of a row whose value is JSON null, which in an object looks like NULL. */
  nullsOf({ buffer, kinds: sent, starts, ends }: Tuple): string[] {
    const names: string[] = [];
    for (const { column, name } of this.#documents) {
      if (sent[column] === TEXT_VALUE && isNull(buffer, starts[column] ?? 0, ends[column] ?? 0))
        names.push(name);
    }
    return names;
  }

  /**
   * Writes a row as a JSON object. Numbers, JSON and texts keep every digit and character that the
   * server sent, since no value passes through a JavaScript number.
   */
  write(writer: ByteWriter, { buffer, count, kinds: sent, starts, ends }: Tuple, choice: Choice): void {
    writer.byte(OPEN);
    let first = true;
    for (let column = 0; column < count; column += 1) {
      const kind = sent[column];
      if (kind === UNCHANGED) continue;
      if (choice === 'key' && this.#isKey[column] !== true) continue;
      if (first) first = false;
      else writer.byte(COMMA);
      const name = this.#names[column] ?? EMPTY;
      writer.copy(name, 0, name.length);
      if (kind === NULL_VALUE) writer.copy(NULL, 0, NULL.length);
      else
        this.#value(writer, this.#kinds[column] ?? 'string', buffer, starts[column] ?? 0, ends[column] ?? 0);
    }
    writer.byte(CLOSE);
  }

  #value(writer: ByteWriter, kind: JsonKind, from: Buffer, start: number, end: number): void {
    const isKept = kind !== 'json' || fitsJsonb(from.toString('utf8', start, end), this.#encoding);
    writeValue(writer, isKept ? kind : 'string', from, start, end);
  }
}

/** Returns true for JSON null: no other document begins with "n". The type json keeps blanks around it. */
function isNull(from: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end && (from[at] ?? 0) <= BLANK) at += 1;
  return at < end && from[at] === NULL[0];
}

const EMPTY = Buffer.alloc(0);
const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

function writeValue(writer: ByteWriter, kind: JsonKind, from: Buffer, start: number, end: number): void {
  switch (kind) {
    case 'number':
      if (isJsonNumber(from, start, end)) writer.copy(from, start, end);
      else writeString(writer, from, start, end);
      return;
    case 'boolean': {
      const word = from[start] === 0x74 ? TRUE : FALSE; // 't'
      writer.copy(word, 0, word.length);
      return;
    }
    case 'json':
    case 'jsonb':
      writer.copy(from, start, end);
      return;
    case 'string':
      writeString(writer, from, start, end);
  }
}

/** Returns false for NaN and infinities, which JSON lacks, and -0, which would lose its sign: they become strings. */
function isJsonNumber(from: Buffer, start: number, end: number): boolean {
  const negative = from[start] === MINUS;
  const first = from[negative ? start + 1 : start] ?? 0;
  if (first < ZERO || first > NINE) return false;
  return !(negative && first === ZERO && end === start + 2);
}

/**
 * The most digits in a row that fit into numeric with any exponent of three digits: it has up to 16,383 decimals, and
 * 131,072 digits before them.
 */
const DIGITS = 15_000;
// each run of digits is read once, from its beginning
const LONG_NUMBER = new RegExp(String.raw`(?<!\d)\d{${DIGITS}}`);

/** An escaped character that not all encodings have. */
const BEYOND_ASCII = /\\u(?!00[0-7])/;

/**
 * Returns false if a document of the type json may have what jsonb cannot store: the character NUL, unpaired
 * surrogates, characters that its database may lack, numbers beyond numeric. Such a document becomes a string, as do
 * some that would fit.
 */
function fitsJsonb(json: string, encoding: string): boolean {
  if (/\\u(0000|d[89a-f])|\d[eE][+-]?\d{4}/i.test(json)) return false;
  if (encoding !== 'UTF8' && BEYOND_ASCII.test(json)) return false;
  return json.length < DIGITS || !LONG_NUMBER.test(json);
}

/**
 * Restores a column's text from its document in the log, which may be a string instead: see {@link fitsJsonb}.
 *
 * @param encoding of the database that has the log
 */
export function documentOf(text: string, typeOid: number, encoding: string): string {
  if (kinds.get(typeOid) !== 'json' || !text.startsWith('"')) return text;
  const content: unknown = JSON.parse(text);
  return typeof content === 'string' && !fitsJsonb(content, encoding) ? content : text;
}

/** Length of an escaped control character: `\\u0001`. */
const LONGEST_ESCAPE = 6;
const SHORT = 4096;

/** Returns an upper bound of the escaped length; for long texts, whose room matters, the exact length. */
export function escapedLength(from: Buffer, start: number, end: number): number {
  if (end - start <= SHORT) return (end - start) * LONGEST_ESCAPE;
  let length = end - start;
  for (let index = start; index < end; index += 1) {
    const byte = from[index] ?? 0;
    if (byte === QUOTE || byte === BACKSLASH) length += 1;
    else if (byte < 0x20) length += LONGEST_ESCAPE - 1;
  }
  return length;
}

const HEX = Buffer.from('0123456789abcdef');

function writeString(writer: ByteWriter, from: Buffer, start: number, end: number): void {
  writer.reserve(escapedLength(from, start, end) + 2);
  const { bytes } = writer;
  let at = writer.length;
  bytes[at++] = QUOTE;
  for (let index = start; index < end; index += 1) {
    const byte = from[index] ?? 0;
    if (byte === QUOTE || byte === BACKSLASH) {
      bytes[at++] = BACKSLASH;
      bytes[at++] = byte;
    } else if (byte < 0x20) {
      bytes[at++] = BACKSLASH;
      bytes[at++] = 0x75; // 'u'
      bytes[at++] = ZERO;
      bytes[at++] = ZERO;
      bytes[at++] = HEX[byte >> 4] ?? ZERO;
      bytes[at++] = HEX[byte & 15] ?? ZERO;
    } else {
      bytes[at++] = byte;
    }
  }
  bytes[at++] = QUOTE;
  writer.length = at;
}
