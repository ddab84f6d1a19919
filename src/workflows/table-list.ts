import type { Member } from '../contract/database-activities.ts';
import type { TableOutcome, TableResult } from '../contract/extract-database.ts';
import { formatTableName, parseTableName } from '../contract/table-name.ts';

export type TableState = 'waiting' | 'running' | TableOutcome;

/** A table of a run and its state. */
export interface ListedTable extends Member {
  readonly member: number;
  state: TableState;
  /** When work on it last began, in milliseconds since 1970. */
  startedAt: number;
  /** True if it gets its own workflow. */
  alone: boolean;
  /** True if it was changed after the snapshot of all tables, and so has to read its own. */
  changed: boolean;
  rows: number;
  bytesCopied: number;
  message: string | undefined;
  /** Ends the work under way for it alone. */
  stop: (() => void) | undefined;
}

/** Most bytes and tables of one activity, unless there are so many that the number of activities must be bounded. */
const PACK_BYTES = 64 * 1024 * 1024;
const PACK_TABLES = 50;
/** A smaller pack is not worth an activity: it may exceed its even share up to these limits. */
const LEAST_TABLES = 16;
const LEAST_BYTES = 4 * 1024 * 1024;
/** About this many activities copy the small tables of a very large database, at six history events each. */
const MOST_PACKS = 500;
/** Children cost more history than packs. */
const MOST_ALONE = 500;

/** The tables of a run, the largest first, and which of them comes next. */
export class TableList {
  readonly tables: readonly ListedTable[];
  readonly #byName: ReadonlyMap<string, ListedTable>;
  readonly #packBytes: number;
  readonly #packTables: number;
  #waiting: Set<ListedTable>;
  #startedAlone = 0;

  constructor(members: readonly Member[]) {
    this.tables = members.map((one, member) => ({
      ...one,
      member,
      state: 'waiting',
      startedAt: 0,
      alone: one.large,
      changed: false,
      rows: 0,
      bytesCopied: 0,
      message: undefined,
      stop: undefined,
    }));
    this.#byName = new Map(this.tables.map((table) => [table.table, table]));
    this.#waiting = new Set(this.tables);
    const small = this.tables.filter(({ large }) => !large);
    const bytes = small.reduce((sum, table) => sum + table.bytes, 0);
    this.#packBytes = Math.max(PACK_BYTES, bytes / MOST_PACKS);
    this.#packTables = Math.max(PACK_TABLES, Math.ceil(small.length / MOST_PACKS));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Finds a table by its name as people write it: `orders` is `public.orders`. */
  find(name: string): ListedTable | undefined {
    const parsed = parseTableName(name);
    return parsed === undefined ? undefined : this.#byName.get(formatTableName(parsed));
  }

  in(state: TableState): ListedTable[] {
    return this.tables.filter((table) => table.state === state);
  }

  /** Returns those that have ended, the largest first. */
  largestEnded(most: number): ListedTable[] {
    const ended: ListedTable[] = [];
    for (const table of this.tables) {
      if (ended.length === most) break;
      if (table.state !== 'waiting' && table.state !== 'running') ended.push(table);
    }
    return ended;
  }

  /** Counts the tables in each state in one pass: there may be very many, and this is called often. */
  counts(): Record<TableState, number> {
    const counts = { waiting: 0, running: 0, committed: 0, superseded: 0, failed: 0, skipped: 0 };
    for (const { state } of this.tables) counts[state] += 1;
    return counts;
  }

  /** Returns the next table with its own workflow; these come first. */
  nextAlone(): ListedTable | undefined {
    for (const table of this.#waiting) if (table.alone) return table;
    return undefined;
  }

  /**
   * Returns small tables for one activity: fewer towards the end, so that all end at about the same time.
   *
   * @param isWorth whether a pack must be worth its activity; false for runs of earlier versions
   */
  nextPack(width: number, isWorth: boolean): ListedTable[] {
    const small = [...this.#waiting].filter(({ alone }) => !alone);
    const share = Math.min(this.#packTables, Math.ceil(small.length / (2 * width)));
    const least = isWorth ? LEAST_TABLES : 0;
    const pack: ListedTable[] = [];
    let bytes = 0;
    for (const table of small) {
      const isLittle = pack.length < least && bytes + table.bytes <= LEAST_BYTES;
      if (pack.length >= share && !isLittle) break;
      if (pack.length > 0 && bytes + table.bytes > this.#packBytes) break;
      pack.push(table);
      bytes += table.bytes;
    }
    return pack;
  }

  started(tables: readonly ListedTable[], at: number): void {
    for (const table of tables) {
      table.state = 'running';
      table.startedAt = at;
      this.#waiting.delete(table);
      if (table.alone) this.#startedAlone += 1;
    }
  }

  ended(
    table: ListedTable,
    outcome: TableOutcome,
    done: Partial<Omit<TableResult, 'table' | 'outcome'>> = {},
  ): void {
    this.#waiting.delete(table);
    table.state = outcome;
    table.rows = done.rows ?? 0;
    table.bytesCopied = done.bytes ?? 0;
    table.message = done.message;
    table.stop = undefined;
  }

  /** Puts a table back among the waiting ones, to be copied as before or by its own workflow. */
  waits(table: ListedTable, alone = table.alone): void {
    table.state = 'waiting';
    table.alone = alone;
    table.message = undefined;
    this.#waiting.add(table);
  }

  /** True if so many tables had their own workflows that the history could not take many more. */
  get isLong(): boolean {
    return this.#startedAlone >= MOST_ALONE;
  }

  /** Resets all tables except skipped ones: the run starts over. */
  reset(): void {
    for (const table of this.tables) {
      table.changed = false;
      if (table.state !== 'skipped') this.waits(table, table.large);
    }
  }

  total(): { rows: number; bytes: number } {
    return this.tables.reduce(
      (sum, { rows, bytesCopied }) => ({ rows: sum.rows + rows, bytes: sum.bytes + bytesCopied }),
      { rows: 0, bytes: 0 },
    );
  }
}
