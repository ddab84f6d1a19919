import type { CapturedTable } from '../contract/capture-activities.ts';
import { includesTable, type SchemaOrTable } from '../contract/schema-or-table.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';

/** The tables of a capture, and which of them are still to be copied. */
export class CapturedTables {
  #all: readonly CapturedTable[] = [];
  /** Names of tables whose copies are not made, although the warehouse lists them among those to be copied. */
  readonly #givenUp = new Set<string>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get all(): readonly CapturedTable[] {
    return this.#all;
  }

  /** Tables whose copies failed for good, until somebody asks for them. */
  get givenUp(): readonly CapturedTable[] {
    return this.#all.filter((table) => this.#givenUp.has(formatTableName(table)));
  }

  get copying(): readonly CapturedTable[] {
    return this.#all.filter(({ copying }) => copying);
  }

  set(tables: readonly CapturedTable[]): void {
    const names = new Set(tables.map(formatTableName));
    for (const name of this.#givenUp) if (!names.has(name)) this.#givenUp.delete(name);
    this.#all = tables.map((table) => ({
      ...table,
      copying: table.copying && !this.#givenUp.has(formatTableName(table)),
    }));
    this.#onChange();
  }

  /** Marks tables as copied, or to be copied again. */
  mark(marked: readonly TableName[], copying: boolean): void {
    const names = new Set(marked.map(formatTableName));
    if (names.size === 0) return;
    for (const name of names) this.#givenUp.delete(name);
    this.set(this.#all.map((table) => (names.has(formatTableName(table)) ? { ...table, copying } : table)));
  }

  /** Gives up the copies of tables, until somebody asks for them. */
  giveUp(tables: readonly TableName[]): void {
    for (const table of tables) this.#givenUp.add(formatTableName(table));
    this.set(this.#all);
  }

  /** Notes that somebody asks for copies that may have been given up. */
  askFor(wanted: readonly SchemaOrTable[]): void {
    for (const table of this.#all) {
      if (wanted.some((one) => includesTable(one, table))) this.#givenUp.delete(formatTableName(table));
    }
  }
}
