import type { CapturedTable } from '../contract/capture-activities.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';

/** The tables of a capture, and which of them are still to be copied. */
export class CapturedTables {
  #all: readonly CapturedTable[] = [];
  readonly #onChange: (tables: readonly CapturedTable[]) => void;

  constructor(onChange: (tables: readonly CapturedTable[]) => void) {
    this.#onChange = onChange;
  }

  get copying(): readonly CapturedTable[] {
    return this.#all.filter(({ copying }) => copying);
  }

  set(tables: readonly CapturedTable[]): void {
    this.#all = tables;
    this.#onChange(tables);
  }

  /** Marks tables as copied or given up, or to be copied again. */
  mark(marked: readonly TableName[], copying: boolean): void {
    const names = new Set(marked.map(formatTableName));
    if (names.size === 0) return;
    this.set(this.#all.map((table) => (names.has(formatTableName(table)) ? { ...table, copying } : table)));
  }
}
