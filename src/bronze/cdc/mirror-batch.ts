/** A value as text; undefined if it was not sent, because an update did not touch it. */
export type MirrorValue = string | null | undefined;

/** The state that the row of a key is to have. */
export interface RowState {
  /** The key values, in key order. */
  readonly key: readonly (string | null)[];
  readonly row: 'deleted' | readonly MirrorValue[];
}

/**
 * The net effect of changes to one table: the last state of each key.
 *
 * A value that an update did not send is taken from the state before it or, if there is none, stays as the
 * warehouse has it.
 */
export class MirrorBatch {
  readonly columns: readonly string[];
  readonly #key: readonly number[];
  readonly #states = new Map<string, RowState>();
  /** Set once all rows from before the states are gone. */
  truncated = false;

  /** @param key indexes of the key columns */
  constructor(columns: readonly string[], key: readonly number[]) {
    this.columns = columns;
    this.#key = key;
  }

  get states(): ReadonlyMap<string, RowState> {
    return this.#states;
  }

  /** Returns the key values of a row. */
  keyOf(values: readonly MirrorValue[]): (string | null)[] {
    return this.#key.map((index) => values[index] ?? null);
  }

  insert(values: readonly MirrorValue[]): void {
    this.#set(this.keyOf(values), values);
  }

  delete(old: readonly MirrorValue[]): void {
    this.#set(this.keyOf(old), 'deleted');
  }

  truncate(): void {
    this.#states.clear();
    this.truncated = true;
  }

  /**
   * @param old what was sent of the old row: its key or all of it; undefined if the key stays
   * @returns false if the key changes and an unsent value is unknown here: the warehouse must move the row
   */
  update(values: readonly MirrorValue[], old: readonly MirrorValue[] | undefined): boolean {
    const key = this.keyOf(values);
    const before = old === undefined ? key : this.keyOf(old);
    const isMoved = JSON.stringify(key) !== JSON.stringify(before);
    const state = this.#states.get(JSON.stringify(before))?.row;
    const known = state === 'deleted' ? undefined : state;
    const merged = values.map((value, index) =>
      value === undefined ? (known?.[index] ?? old?.[index]) : value,
    );
    if (isMoved && merged.includes(undefined)) return false;
    if (isMoved) this.#set(before, 'deleted');
    this.#set(key, merged);
    return true;
  }

  #set(key: readonly (string | null)[], row: RowState['row']): void {
    this.#states.set(JSON.stringify(key), { key, row });
  }
}
