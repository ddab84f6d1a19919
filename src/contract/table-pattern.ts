import { nameParts, type NamePart } from './name-parts.ts';
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

/**
 * Parses a name or a pattern. `*` stands for any characters, but is literal within quotes. Names are otherwise
 * exact; the schema defaults to `public`.
 */
export function parseTablePattern(text: string): TablePattern | undefined {
  const excludes = text.startsWith('!');
  const [first, second, ...more] = nameParts(excludes ? text.slice(1) : text) ?? [];
  if (first === undefined || more.length > 0) return undefined;
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

const isPattern = ({ text, quoted }: NamePart): boolean => !quoted && text.includes('*');

const leadOfPart = (wanted: NamePart): string => (isPattern(wanted) ? leadOf(wanted.text, '*') : wanted.text);

function matcherOf(wanted: NamePart): (name: string) => boolean {
  return isPattern(wanted) ? patternMatcher(wanted.text, '*') : (name) => name === wanted.text;
}
