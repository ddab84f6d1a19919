import { fitsPattern } from './name-pattern.ts';
import type { TableName } from './table-name.ts';

/** Which tables an entry of `tables` means: `public.*`, `sales.orders`, `!public.tmp_*`. */
export interface TablePattern {
  /** `!…`: the tables it means are left out. */
  readonly excludes: boolean;
  /** The one table that it names, where it has no `*`. */
  readonly exact: TableName | undefined;
  readonly matches: (table: TableName) => boolean;
}

interface Part {
  readonly text: string;
  readonly quoted: boolean;
}

const part = /"((?:[^"]|"")+)"|([^".]+)/y;

/**
 * Reads a name or a pattern. `*` stands for any characters, within quotes for itself. Names are exact
 * otherwise; the schema is `public` where none is given.
 */
export function parseTablePattern(text: string): TablePattern | undefined {
  const excludes = text.startsWith('!');
  const [first, second, third] = readParts(excludes ? text.slice(1) : text) ?? [];
  if (first === undefined || third !== undefined) return undefined;
  const [schema, name] = second === undefined ? [{ text: 'public', quoted: true }, first] : [first, second];
  const matchers = [matcherOf(schema), matcherOf(name)] as const;
  return {
    excludes,
    exact: isPattern(schema) || isPattern(name) ? undefined : { schema: schema.text, name: name.text },
    matches: (table) => matchers[0](table.schema) && matchers[1](table.name),
  };
}

function readParts(text: string): Part[] | undefined {
  const parts: Part[] = [];
  part.lastIndex = 0;
  for (;;) {
    const match = part.exec(text);
    if (match === null) return undefined;
    const [, quoted, plain] = match;
    parts.push({ text: quoted?.replaceAll('""', '"') ?? plain ?? '', quoted: quoted !== undefined });
    if (part.lastIndex === text.length) return parts;
    if (text[part.lastIndex] !== '.') return undefined;
    part.lastIndex += 1;
  }
}

const isPattern = ({ text, quoted }: Part): boolean => !quoted && text.includes('*');

function matcherOf(wanted: Part): (name: string) => boolean {
  if (!isPattern(wanted)) return (name) => name === wanted.text;
  return (name) => fitsPattern(name, wanted.text, '*');
}
