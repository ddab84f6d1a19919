import { leadOf, patternMatcher } from './name-pattern.ts';
import type { TableName } from './table-name.ts';

/** The tables that an entry of `tables` means: `public.*`, `sales.orders`, `!public.tmp_*`. */
export interface TablePattern {
  /** True for `!…`: its tables are left out. */
  readonly excludes: boolean;
  /** The names as they are written, with their stars. */
  readonly written: TableName;
  /** The one table that it names; undefined if it has a `*`. */
  readonly exact: TableName | undefined;
  /** What the {@link wholeName} of each of its tables begins with. */
  readonly lead: string;
  readonly matches: (table: TableName) => boolean;
}

/** Schema and name as one text, which no other table has. */
export const wholeName = ({ schema, name }: TableName): string => `${schema}\0${name}`;

interface Part {
  readonly text: string;
  readonly quoted: boolean;
}

const part = /"((?:[^"]|"")+)"|([^".]+)/y;

/**
 * Parses a name or a pattern. `*` stands for any characters, but is literal within quotes. Names are otherwise
 * exact; the schema defaults to `public`.
 */
export function parseTablePattern(text: string): TablePattern | undefined {
  const excludes = text.startsWith('!');
  const [first, second, third] = readParts(excludes ? text.slice(1) : text) ?? [];
  if (first === undefined || third !== undefined) return undefined;
  const [schema, name] = second === undefined ? [{ text: 'public', quoted: true }, first] : [first, second];
  const matchers = [matcherOf(schema), matcherOf(name)] as const;
  const written = { schema: schema.text, name: name.text };
  return {
    excludes,
    written,
    exact: isPattern(schema) || isPattern(name) ? undefined : written,
    lead: isPattern(schema) ? leadOfPart(schema) : wholeName({ schema: schema.text, name: leadOfPart(name) }),
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

const leadOfPart = (wanted: Part): string => (isPattern(wanted) ? leadOf(wanted.text, '*') : wanted.text);

function matcherOf(wanted: Part): (name: string) => boolean {
  return isPattern(wanted) ? patternMatcher(wanted.text, '*') : (name) => name === wanted.text;
}
