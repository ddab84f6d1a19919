import type { ChildWorkflowHandle } from '@temporalio/workflow';
import { connectionsOf, type ExtractDatabaseInput } from '../contract/extract-database.ts';
import type { extractTable } from './extract-table.ts';
import { firstShare, shareOut, type Share } from './share-out.ts';
import type { ListedTable } from './table-list.ts';

/** A table with its own workflow, or small tables that one activity copies. */
export interface Unit extends Share {
  readonly tables: readonly ListedTable[];
  child: ChildWorkflowHandle<typeof extractTable> | undefined;
  /** True if it holds its own snapshot, which takes one more session. */
  readonly holds: boolean;
}

/** What a database run has under way, and how many copies and source sessions each unit of it has. */
export class Units {
  parallelism: number;
  readonly #input: ExtractDatabaseInput;
  readonly #units = new Set<Unit>();

  constructor(input: ExtractDatabaseInput) {
    this.#input = input;
    this.parallelism = input.parallelism;
  }

  get size(): number {
    return this.#units.size;
  }

  [Symbol.iterator](): Iterator<Unit> {
    return this.#units.values();
  }

  /** The most tables, or packs of small ones, that may be under way. */
  get atOnce(): number {
    return Math.min(this.#input.maxTablesAtOnce ?? this.parallelism, this.parallelism);
  }

  /** True if the run may have only so many source sessions. */
  get isSparing(): boolean {
    return this.#input.maxSourceConnections !== undefined;
  }

  /** Needs no free copy: without one, some table has several, since no more tables run at once than copies. */
  hasRoomFor({ holds }: Pick<Unit, 'holds'>): boolean {
    if (this.#units.size >= this.atOnce) return false;
    return !this.isSparing || this.#unused >= (holds ? 2 : 1);
  }

  /**
   * @param waiting how many tables wait, with those of the unit
   * @returns the unit, and those that give it a copy if none is free
   */
  begin(
    { tables, most, holds }: Pick<Unit, 'tables' | 'most' | 'holds'>,
    waiting: number,
  ): { readonly unit: Unit; readonly giving: readonly Unit[] } {
    const atOnce = Math.min(this.atOnce, this.#units.size + waiting);
    const free = Math.min(this.#free, this.#unused - (holds ? 1 : 0));
    const width = firstShare({ most }, { parallelism: this.parallelism, atOnce, free });
    const giving = this.#free > 0 ? [] : shareOut([...this.#units], -1);
    const unit = { tables, most, width, reserved: width, holds, child: undefined };
    this.#units.add(unit);
    return { unit, giving };
  }

  end(unit: Unit): void {
    this.#units.delete(unit);
  }

  /**
   * Gives copies that no waiting table will take to those under way, or takes back what is too much.
   *
   * @returns those whose width changed
   */
  spread(waiting: number): readonly Unit[] {
    if (this.#free > 0 && waiting > 0 && this.#units.size < this.atOnce) return [];
    return shareOut([...this.#units], this.#free, this.#unused);
  }

  get #free(): number {
    return this.parallelism - [...this.#units].reduce((sum, { width }) => sum + width, 0);
  }

  /** Source sessions that the run may have but does not use, however the widths change in the meantime. */
  get #unused(): number {
    const used = [...this.#units].reduce((sum, { reserved, holds }) => sum + reserved + (holds ? 1 : 0), 0);
    return connectionsOf(this.#input).copies - used;
  }
}
