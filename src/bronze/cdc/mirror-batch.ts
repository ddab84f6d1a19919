/** A value as text; undefined if it was not sent, because an update did not touch it. */
export type MirrorValue = string | null | undefined;

/** The state that the row of a key is to have. */
export interface RowState {
  /** The key values, in key order. */
  readonly key: readonly (string | null)[];
  readonly row: 'deleted' | readonly MirrorValue[];
}

/** A change of a key, of a row with unsent values that only the warehouse has. */
export interface RowMove {
  readonly from: RowState['key'];
  readonly to: RowState['key'];
  readonly values: readonly MirrorValue[];
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

  /** Returns whether a row has a whole key, in which no column can be NULL. */
  hasKey(values: readonly MirrorValue[]): boolean {
    return !this.#keyOf(values).includes(null);
  }

  #keyOf(values: readonly MirrorValue[]): (string | null)[] {
    return this.#key.map((index) => values[index] ?? null);
  }

  insert(values: readonly MirrorValue[]): void {
    this.#set(this.#keyOf(values), values);
  }

  delete(old: readonly MirrorValue[]): void {
    this.#set(this.#keyOf(old), 'deleted');
  }

  truncate(): void {
    this.#states.clear();
    this.truncated = true;
  }

  /**
   * @param old what was sent of the old row: its key or all of it; undefined if the key stays
   * @returns a move that the warehouse must make, if the key changes and an unsent value is unknown here
   */
  update(values: readonly MirrorValue[], old: readonly MirrorValue[] | undefined): RowMove | undefined {
    // a key that is stored out of line is sent with the old row only
    const sent = completed(values, old);
    const to = this.#keyOf(sent);
    const from = old === undefined ? to : this.#keyOf(old);
    const isMoved = JSON.stringify(to) !== JSON.stringify(from);
    const known = this.#states.get(JSON.stringify(from))?.row;
    const row = completed(sent, known === 'deleted' ? undefined : known);
    if (isMoved && row.includes(undefined)) return { from, to, values: row };
    if (isMoved) this.#set(from, 'deleted');
    this.#set(to, row);
    return undefined;
  }

  #set(key: readonly (string | null)[], row: RowState['row']): void {
    this.#states.set(JSON.stringify(key), { key, row });
  }
}

/**
 * Fills in unsent values. They are large and were not NULL; where the row before has NULL, that was not sent either:
 * a partition sends less of an old row than its root promises, if only the root has REPLICA IDENTITY FULL.
 */
const completed = (
  values: readonly MirrorValue[],
  before: readonly MirrorValue[] | undefined,
): readonly MirrorValue[] =>
  before === undefined
    ? values
    : values.map((value, index) => (value === undefined ? (before[index] ?? undefined) : value));
