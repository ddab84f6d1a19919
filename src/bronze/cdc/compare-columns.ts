import { quoteName } from '../../postgres/identifiers.ts';
import type { Relation, RelationColumn } from '../../postgres/replication/pgoutput.ts';
import type { CaptureTable, CatalogEntry, KnownColumn } from './tables.ts';

/** A column as the source's catalog has it now, which may be ahead of the stream. */
export interface LiveColumn {
  readonly number: number;
  readonly version: string;
  /** The value, as text, in rows older than the column; null if that is NULL or differs by row. */
  readonly missing: string | null;
  /** As in {@link KnownColumn}; null if there is nothing. */
  readonly parts: KnownColumn['parts'] | null;
}

/** A table as the source's catalog has it now. */
export interface LiveTable extends CatalogEntry {
  readonly columns: ReadonlyMap<string, LiveColumn>;
  /** Reasons, apart from columns, why the stream does not say what became of rows; each is the end of a sentence. */
  readonly doubts: readonly string[];
}

/** An added column, with its value in existing rows: NULL unless `missing` says otherwise. */
export interface AddedColumn extends RelationColumn {
  readonly missing: string | null;
}

export interface ColumnChanges {
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly added: readonly AddedColumn[];
  readonly retyped: readonly RelationColumn[];
  /** True if the source has rewritten the table's rows. */
  readonly rewritten: boolean;
  /** Reasons why the values in existing rows are unknown; each is the end of a sentence. */
  readonly doubts: readonly string[];
  /** The columns known from now on. */
  readonly columns: readonly KnownColumn[];
  readonly catalog: CatalogEntry | null;
}

/**
 * Compares the last known description of a table's columns with the one that the stream sends now.
 *
 * A description has neither column numbers nor values. The catalog has numbers, which tell a rename from a drop and
 * an add, and shows whether rows were rewritten. It may be ahead of the stream: where it contradicts what is known,
 * or no longer has what is needed, that is a doubt.
 */
export function compareColumns(
  table: Pick<CaptureTable, 'columns' | 'catalog'>,
  relation: Pick<Relation, 'columns'>,
  live: LiveTable | undefined,
): ColumnChanges {
  const comparison = new Comparison(table, relation, live);
  for (const [index, column] of relation.columns.entries()) comparison.add(column, index);
  return comparison;
}

class Comparison implements ColumnChanges {
  readonly renamed: { from: string; to: string }[] = [];
  readonly added: AddedColumn[] = [];
  readonly retyped: RelationColumn[] = [];
  readonly rewritten: boolean;
  readonly doubts: string[];
  readonly columns: KnownColumn[] = [];
  readonly catalog: CatalogEntry | null;
  readonly #known: readonly KnownColumn[];
  readonly #names: ReadonlySet<string>;
  readonly #live: LiveTable | undefined;
  /** Numbers of columns that the catalog has by names that are not sent. */
  readonly #unsent: ReadonlySet<number>;
  /** True if the catalog has columns that the stream has yet to send. */
  readonly #hasUnseen: boolean;
  /** The highest number of a column when the catalog was last read. */
  readonly #width: number;
  /** True if the catalog is ahead of the stream. */
  readonly #isLater: boolean;

  constructor(
    { columns, catalog }: Pick<CaptureTable, 'columns' | 'catalog'>,
    relation: Pick<Relation, 'columns'>,
    live: LiveTable | undefined,
  ) {
    this.#known = columns ?? [];
    this.#names = new Set(relation.columns.map(({ name }) => name));
    this.#live = live;
    this.doubts = [...(live?.doubts ?? [])];
    this.rewritten = live !== undefined && (catalog === null || areRewritten(catalog, live));
    this.#width = catalog?.width ?? Math.max(0, ...this.#known.map(({ number }) => number));
    const unsent = [...(live?.columns ?? [])].filter(([name]) => !this.#names.has(name));
    this.#unsent = new Set(unsent.map(([, { number }]) => number));
    this.#hasUnseen = [...this.#unsent].some((number) => number > this.#width);
    this.#isLater = this.#hasUnseen || relation.columns.some(({ name }) => live?.columns.has(name) === false);
    // a rewrite may belong to a change that the stream has yet to send
    this.catalog = live === undefined || this.#isLater ? catalog : entryOf(live);
  }

  add(column: RelationColumn, index: number): void {
    const { name, typeOid, modifier } = column;
    const before = this.#known.find((candidate) => candidate.name === name);
    const now = this.#nowOf(name, before);
    const same = before ?? this.#renamedFrom(column, now, this.#known[index]);
    const version = this.#isLater ? same?.version : (now?.version ?? same?.version);
    const parts = this.#isLater ? same?.parts : (now?.parts ?? same?.parts);
    const number = now?.number ?? same?.number ?? 0;
    this.columns.push({
      name,
      typeOid,
      modifier,
      number,
      ...(version !== undefined && { version }),
      ...(parts !== undefined && { parts }),
    });
    if (same === undefined) this.#came(column, now);
    else this.#stayed(column, same, now);
  }

  /** Returns the catalog's entry for a column, unless the name by now belongs to another that the stream has. */
  #nowOf(name: string, before: KnownColumn | undefined): LiveColumn | undefined {
    const now = this.#live?.columns.get(name);
    if (before !== undefined || now === undefined) return now;
    const isAnother = this.#known.some((other) => other.number === now.number && this.#names.has(other.name));
    return isAnother ? undefined : now;
  }

  /** Finds the column it was renamed from: by number or, if the catalog no longer has the name, by place and type. */
  #renamedFrom(
    { typeOid }: RelationColumn,
    now: LiveColumn | undefined,
    atSamePlace: KnownColumn | undefined,
  ): KnownColumn | undefined {
    const vanished = this.#known.filter(({ name }) => !this.#names.has(name));
    if (now !== undefined) return vanished.find(({ number }) => number === now.number);
    const numbers = new Set([...(this.#live?.columns.values() ?? [])].map(({ number }) => number));
    return vanished.find(
      (candidate) =>
        candidate === atSamePlace && candidate.typeOid === typeOid && numbers.has(candidate.number),
    );
  }

  #came(column: RelationColumn, now: LiveColumn | undefined): void {
    const name = quoteName(column.name);
    const missing = now?.missing ?? null;
    this.added.push({ ...column, missing });
    if (now !== undefined && now.number <= this.#width) {
      this.doubts.push(`column ${name} was there before it was sent (it was generated, say)`);
      return;
    }
    if (this.#hasLost() || (now !== undefined && this.#isAfterUnsent(now))) {
      this.doubts.push(`column ${name} may be another than the one that has this name in the source now`);
      return;
    }
    const isUnknown = now === undefined ? this.#hasUnseen : this.rewritten && missing === null;
    if (!isUnknown) return;
    this.doubts.push(`column ${name} was added with values that may differ by row`);
  }

  /**
   * Returns whether a known column is not found in what is sent, though the source has it still, by a name to come: it
   * must be there by a third.
   */
  #hasLost(): boolean {
    const found = new Set(this.columns.map(({ number }) => number));
    return this.#known.some(
      ({ name, number }) => !this.#names.has(name) && this.#unsent.has(number) && !found.has(number),
    );
  }

  /**
   * Returns whether columns were added before one that the stream does not send before it. What it sends may be one of
   * these, which the catalog has dropped or renamed meanwhile: columns come in the order of their numbers.
   */
  #isAfterUnsent({ number: last }: LiveColumn): boolean {
    const sent = new Set(this.columns.map(({ number }) => number));
    for (let number = this.#width + 1; number < last; number += 1) if (!sent.has(number)) return true;
    return false;
  }

  #stayed(column: RelationColumn, same: KnownColumn, now: LiveColumn | undefined): void {
    const name = quoteName(column.name);
    if (same.name !== column.name) this.renamed.push({ from: same.name, to: column.name });
    const isRetyped = same.typeOid !== column.typeOid || same.modifier !== column.modifier;
    if (isRetyped) this.retyped.push(column);
    if (now === undefined) return;
    if (now.number !== same.number) {
      this.doubts.push(`column ${name} is not the column that had this name before`);
    } else if (this.rewritten && !isRetyped && (same.version ?? now.version) !== now.version) {
      this.doubts.push(`column ${name} was redefined and its rows were rewritten`);
    } else if (!isRetyped && isWrittenOtherwise(same.parts, now.parts)) {
      this.doubts.push(`column ${name} has a type whose labels or attributes were changed`);
    }
  }
}

/** A label that was added to an enum changes no value. */
export function isWrittenOtherwise(known: KnownColumn['parts'], live: LiveColumn['parts']): boolean {
  return Object.entries(known ?? {}).some(([oid, part]) => (live?.[oid] ?? part) !== part);
}

/** Compares only partitions that both have: one that was added or removed says nothing about the rows of others. */
export const areRewritten = ({ files }: CatalogEntry, live: CatalogEntry): boolean =>
  Object.entries(live.files).some(([oid, file]) => (files[oid] ?? file) !== file);

const entryOf = ({ oid, files, width }: CatalogEntry): CatalogEntry => ({ oid, files, width });
