import { quoteName } from '../../postgres/identifiers.ts';
import type { Relation, RelationColumn } from '../../postgres/replication/pgoutput.ts';
import type { CaptureTable, CatalogEntry, KnownColumn } from './tables.ts';

/** What the catalog of the source says of a column now, which may be later than the stream. */
export interface LiveColumn {
  readonly number: number;
  readonly version: string;
  /** What rows from before the column was added have in it, as text; null where that is NULL or differs by row. */
  readonly missing: string | null;
}

/** What the catalog of the source says of a table now. */
export interface LiveTable extends CatalogEntry {
  readonly columns: ReadonlyMap<string, LiveColumn>;
}

/** A column that came, and what is in it in the rows from before: NULL unless something else is said. */
export interface AddedColumn extends RelationColumn {
  readonly missing: string | null;
}

export interface ColumnChanges {
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly added: readonly AddedColumn[];
  readonly retyped: readonly RelationColumn[];
  /** Whether the source has written the rows of the table anew. */
  readonly rewritten: boolean;
  /** Why nothing says what is in the rows from before; each is the end of a sentence. */
  readonly doubts: readonly string[];
  /** What is known from now on. */
  readonly columns: readonly KnownColumn[];
  readonly catalog: CatalogEntry | null;
}

/**
 * What became of the columns of a table, from the last description of it to the one that the stream sends now.
 *
 * A description has neither column numbers nor values. The catalog has numbers, which tell a rename from one column
 * dropped and another added, and says whether rows were written anew. It may have gone on meanwhile: where it
 * contradicts what is known, or no longer has what must be known, that is a doubt.
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
  readonly doubts: string[] = [];
  readonly columns: KnownColumn[] = [];
  readonly catalog: CatalogEntry | null;
  readonly #known: readonly KnownColumn[];
  readonly #names: ReadonlySet<string>;
  readonly #live: LiveTable | undefined;
  /** Whether the catalog has columns that the stream has yet to send. */
  readonly #hasUnseen: boolean;
  /** Whether the catalog has gone on from where the stream is. */
  readonly #isLater: boolean;

  constructor(
    { columns, catalog }: Pick<CaptureTable, 'columns' | 'catalog'>,
    relation: Pick<Relation, 'columns'>,
    live: LiveTable | undefined,
  ) {
    this.#known = columns ?? [];
    this.#names = new Set(relation.columns.map(({ name }) => name));
    this.#live = live;
    this.rewritten = live !== undefined && (catalog === null || areRewritten(catalog, live));
    const width = catalog?.width ?? Math.max(0, ...this.#known.map(({ number }) => number));
    const now = [...(live?.columns ?? [])];
    this.#hasUnseen = now.some(([name, { number }]) => number > width && !this.#names.has(name));
    this.#isLater = this.#hasUnseen || relation.columns.some(({ name }) => live?.columns.has(name) === false);
    // that rows were written anew may be about what the stream has yet to send
    this.catalog = live === undefined || this.#isLater ? catalog : entryOf(live);
  }

  add(column: RelationColumn, index: number): void {
    const { name, typeOid, modifier } = column;
    const before = this.#known.find((candidate) => candidate.name === name);
    const now = this.#nowOf(name, before);
    const same = before ?? this.#renamedFrom(column, now, this.#known[index]);
    const version = this.#isLater ? same?.version : (now?.version ?? same?.version);
    const number = now?.number ?? same?.number ?? 0;
    this.columns.push({ name, typeOid, modifier, number, ...(version !== undefined && { version }) });
    if (same === undefined) this.#came(column, now);
    else this.#stayed(column, same, now);
  }

  /** What the catalog says of a column of the stream, unless another that the stream has, too, is called so by now. */
  #nowOf(name: string, before: KnownColumn | undefined): LiveColumn | undefined {
    const now = this.#live?.columns.get(name);
    if (before !== undefined || now === undefined) return now;
    const isAnother = this.#known.some((other) => other.number === now.number && this.#names.has(other.name));
    return isAnother ? undefined : now;
  }

  /** By its number; where the catalog has gone on, one at the same place that is there by a later name. */
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
    const missing = now?.missing ?? null;
    this.added.push({ ...column, missing });
    const isUnknown = now === undefined ? this.#hasUnseen : this.rewritten && missing === null;
    if (!isUnknown) return;
    this.doubts.push(`column ${quoteName(column.name)} was added with values that may differ by row`);
  }

  #stayed(column: RelationColumn, same: KnownColumn, now: LiveColumn | undefined): void {
    const name = quoteName(column.name);
    if (same.name !== column.name) this.renamed.push({ from: same.name, to: column.name });
    const isRetyped = same.typeOid !== column.typeOid || same.modifier !== column.modifier;
    if (isRetyped) this.retyped.push(column);
    if (now === undefined) return;
    if (now.number !== same.number) {
      this.doubts.push(`column ${name} is another than the one of that name before`);
    } else if (this.rewritten && !isRetyped && (same.version ?? now.version) !== now.version) {
      this.doubts.push(`column ${name} was defined and its rows were written anew`);
    }
  }
}

/** A partition that came or went says nothing of the rows of others. */
const areRewritten = ({ files }: CatalogEntry, live: CatalogEntry): boolean =>
  Object.entries(live.files).some(([oid, file]) => (files[oid] ?? file) !== file);

const entryOf = ({ oid, files, width }: CatalogEntry): CatalogEntry => ({ oid, files, width });
