/** The value of a column in a loaded row; a number is written with all its digits. */
export type CopyValue = string | number | null;

const special = /[\\\b\f\n\r\t\v]/;
const specials = new RegExp(special, 'g');

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/**
 * Formats one value in the text format of COPY.
 * @see https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
export function copyField(value: CopyValue): string {
  if (value === null) return '\\N';
  if (typeof value === 'number') return String(value);
  return special.test(value) ? value.replace(specials, (character) => escapes[character] ?? '') : value;
}

/** Formats one row in the text format of COPY, including the line end. */
export function copyLine(values: readonly CopyValue[]): string {
  return `${values.map(copyField).join('\t')}\n`;
}
