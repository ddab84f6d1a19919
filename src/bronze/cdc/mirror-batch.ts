/** A value as text; undefined where it was not sent, because an update did not touch it. */
export type MirrorValue = string | null | undefined;

/** What is to become of the row of a key. */
export interface RowState {
  /** The values of the key, in its order. */
  readonly key: readonly (string | null)[];
  readonly row: 'deleted' | readonly MirrorValue[];
}

/**
 * The net effect of changes of one table: of each key the last state.
 *
 * What an update did not send is taken from the state before it where there is one, and stays as the
 * warehouse has it where there is none.
 */
export class MirrorBatch {
  readonly columns: readonly string[];
  readonly #key: readonly number[];
  readonly #states = new Map<string, RowState>();
  /** Everything that was there before the states is gone. */
  truncated = false;

  /** @param key indexes of the key columns */
  constructor(columns: readonly string[], key: readonly number[]) {
    this.columns = columns;
    this.#key = key;
  }

  get states(): ReadonlyMap<string, RowState> {
    return this.#states;
  }

  /** The values of the key. */
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
   * @param old what was sent of the row before: its key or all of it; undefined where the key stays
   * @returns false where the key changes and a value that was not sent is not known here: the row must be moved where it is
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
