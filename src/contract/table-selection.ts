import type { ExtractDatabaseRequest } from './extract-database.ts';
import type { ExtractTableRequest } from './extract-table.ts';
import { formatTableName, type TableName } from './table-name.ts';
import { parseTablePattern, wholeName, type TablePattern } from './table-pattern.ts';

type Selecting = Pick<ExtractDatabaseRequest, 'tables' | 'defaults' | 'source' | 'consistency'>;

interface Entry {
  /** Position among the entries of the input. */
  readonly index: number;
  readonly pattern: TablePattern;
  readonly settings: Omit<ExtractTableRequest, 'table'>;
}

/** The tables of the source that a run extracts, and how, as the entries of `tables` together say. */
export class TableSelection {
  readonly #common: Selecting;
  /** Entries without a star, by the table they name, since there may be as many as tables. */
  readonly #naming = new Map<string, Entry[]>();
  /** Those with a star, by what their tables begin with, so that a table is compared with few of however many. */
  readonly #leading = new Map<string, Entry[]>();
  readonly #lengths = new Set<number>();

  constructor(input: Selecting) {
    this.#common = input;
    for (const [index, one] of input.tables.entries()) {
      const { table, ...settings } = typeof one === 'string' ? { table: one } : one;
      const pattern = parsed(table);
      this.#entriesLike(pattern).push({ index, pattern, settings });
    }
  }

  /**
   * Returns what a run would be told for every table of an entry: by the entry itself, and by the others that match all
   * of its tables. One pattern is taken to match all tables of another if it matches the text of that as a name.
   */
  requestForAll(entry: string): ExtractTableRequest {
    return this.requestFor(parsed(entry).written);
  }

  /** Returns whether several entries have settings for a table, which together may contradict each other. */
  combinesFor(table: TableName): boolean {
    return this.#entriesFor(table).filter(({ settings }) => Object.keys(settings).length > 0).length > 1;
  }

  #entriesLike({ exact, lead }: TablePattern): Entry[] {
    if (exact !== undefined) return listAt(this.#naming, formatTableName(exact));
    this.#lengths.add(lead.length);
    return listAt(this.#leading, lead);
  }

  /** Returns whether a table of the source is wanted: the last entry that matches it decides. */
  has(table: TableName): boolean {
    return this.#entriesFor(table).at(-1)?.pattern.excludes === false;
  }

  /** Returns the tables named without a star: they are wanted even if the source does not have them. */
  named(): TableName[] {
    return [...this.#naming.values()]
      .flatMap((entries) => entries.find(({ pattern }) => !pattern.excludes)?.pattern.exact ?? [])
      .filter((table) => this.has(table));
  }

  /** Returns what `extractTable` would be told for this table alone, except its share of the copies. */
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

  /** Returns the entries that match a table, in the order they were written. */
  #entriesFor(table: TableName): Entry[] {
    const naming = this.#naming.get(formatTableName(table)) ?? [];
    const whole = wholeName(table);
    const likely = [...this.#lengths].flatMap((length) => this.#leading.get(whole.slice(0, length)) ?? []);
    const matching = likely.filter(({ pattern }) => pattern.matches(table));
    return [...naming, ...matching].toSorted((one, other) => one.index - other.index);
  }
}

function listAt(lists: Map<string, Entry[]>, key: string): Entry[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

function parsed(text: string): TablePattern {
  const pattern = parseTablePattern(text);
  if (pattern === undefined) throw new Error(`not a pattern: ${text}`);
  return pattern;
}
