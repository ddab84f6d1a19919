import type { ExtractDatabaseRequest } from './extract-database.ts';
import type { ExtractTableRequest } from './extract-table.ts';
import { formatTableName, type TableName } from './table-name.ts';
import { parseTablePattern, type TablePattern } from './table-pattern.ts';

type Selecting = Pick<ExtractDatabaseRequest, 'tables' | 'defaults' | 'source' | 'consistency'>;

interface Entry {
  /** Among the entries of the input. */
  readonly index: number;
  readonly pattern: TablePattern;
  readonly settings: Omit<ExtractTableRequest, 'table'>;
}

/** Which tables of the source a run is to extract, and how: what the entries of `tables` say together. */
export class TableSelection {
  readonly #common: Selecting;
  /** Entries without a star by the table that they name, since there may be as many as tables. */
  readonly #naming = new Map<string, Entry[]>();
  readonly #patterns: Entry[] = [];

  constructor(input: Selecting) {
    this.#common = input;
    for (const [index, one] of input.tables.entries()) {
      const { table, ...settings } = typeof one === 'string' ? { table: one } : one;
      const pattern = parseTablePattern(table);
      if (pattern === undefined) throw new Error(`not a pattern: ${table}`);
      this.#entriesLike(pattern).push({ index, pattern, settings });
    }
  }

  #entriesLike({ exact }: TablePattern): Entry[] {
    if (exact === undefined) return this.#patterns;
    const name = formatTableName(exact);
    const entries = this.#naming.get(name) ?? [];
    this.#naming.set(name, entries);
    return entries;
  }

  /** Whether a table of the source is wanted: of the entries that match it the last decides. */
  has(table: TableName): boolean {
    return this.#entriesFor(table).at(-1)?.pattern.excludes === false;
  }

  /** The tables that are named without a star: they are wanted even where the source has none of the name. */
  named(): TableName[] {
    return [...this.#naming.values()]
      .flatMap((entries) => entries.find(({ pattern }) => !pattern.excludes)?.pattern.exact ?? [])
      .filter((table) => this.has(table));
  }

  /** What `extractTable` would be told to do with this table alone, but for its share of the copies. */
  requestFor(table: TableName): ExtractTableRequest {
    const { defaults, source = 'default', consistency } = this.#common;
    return {
      ...defaults,
      ...Object.assign({}, ...this.#entriesFor(table).map(({ settings }) => settings)),
      table: { schema: table.schema, table: table.name },
      source,
      consistency: consistency === 'none' ? 'none' : 'snapshot',
    };
  }

  /** Those that match it, in the order in which they were written. */
  #entriesFor(table: TableName): Entry[] {
    const naming = this.#naming.get(formatTableName(table)) ?? [];
    const matching = this.#patterns.filter(({ pattern }) => pattern.matches(table));
    return [...naming, ...matching].toSorted((one, other) => one.index - other.index);
  }
}
