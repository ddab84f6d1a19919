const field = /"((?:[^"]|"")*)"|([^,\r\n]*)/y;
const lineEnd = /\r?\n|$/y;

/** Parses CSV text (RFC 4180) into records keyed by the names in its first line. */
export function* parseCsv(text: string): Generator<Record<string, string>> {
  const lines = readLines(text);
  const header = lines.next();
  if (header.done === true) return;
  for (const values of lines) {
    if (values.length !== header.value.length) {
      throw new Error(`expected ${header.value.length} fields, found ${values.length}: ${values.join(',')}`);
    }
    yield Object.fromEntries(header.value.map((name, index) => [name, values[index] ?? '']));
  }
}

function* readLines(text: string): Generator<string[]> {
  let position = 0;
  while (position < text.length) {
    const line = readLine(text, position);
    position = line.end;
    yield line.values;
  }
}

function readLine(text: string, start: number): { values: string[]; end: number } {
  const values: string[] = [];
  let position = start;
  while (true) {
    field.lastIndex = position;
    const [, quoted, plain] = field.exec(text) ?? [];
    values.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    position = field.lastIndex;
    if (text[position] !== ',') break;
    position += 1;
  }
  lineEnd.lastIndex = position;
  if (lineEnd.exec(text) === null) throw new Error(`expected a comma or the end of the line at ${position}`);
  return { values, end: lineEnd.lastIndex };
}
