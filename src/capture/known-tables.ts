import { nameBytes, type RelationBytes } from '../bronze/cdc/change-rows.ts';
import type { CaptureTable } from '../bronze/cdc/tables.ts';
import { formatTableName } from '../contract/table-name.ts';
import { JsonColumns } from '../postgres/replication/json-values.ts';
import { parseLsn, type Lsn } from '../postgres/replication/lsn.ts';
import type { Relation } from '../postgres/replication/pgoutput.ts';

/** A table as the stream described it last. */
export interface KnownTable extends RelationBytes {
  readonly id: string;
  /** The table of the capture; undefined if only the publication has it. */
  readonly table: CaptureTable | undefined;
  /** Changes that commit before it are not logged. */
  readonly logFrom: Lsn;
  /** Changes that commit before it are in the copy. */
  readonly copiedAt: Lsn;
  /** True once the stream's description of its columns was heeded, which the first wanted change triggers. */
  isFollowed: boolean;
  /** Indexes of the key columns, if changes are applied to a copy. */
  readonly key: readonly number[] | undefined;
}

/** The tables of a stream, which describes each before its first change and whenever its columns changed. */
export class KnownTables {
  readonly #captured: ReadonlyMap<string, CaptureTable>;
  readonly #described = new Map<number, KnownTable>();
  readonly #encoding: string;

  /** @param encoding of the warehouse */
  constructor(captured: readonly CaptureTable[], encoding: string) {
    this.#encoding = encoding;
    this.#captured = new Map(captured.map((table) => [formatTableName(table), table]));
  }

  find({ oid }: Relation): KnownTable | undefined {
    return this.#described.get(oid);
  }

  describe(relation: Relation): void {
    const id = formatTableName(relation);
    const table = this.#captured.get(id);
    const mirrored = table?.mirrored === true && table.status === 'live';
    const before = this.#described.get(relation.oid);
    const goesOn = before?.isFollowed === true && before.table === table;
    this.#described.set(relation.oid, {
      relation,
      id,
      table,
      json: new JsonColumns(relation.columns, this.#encoding),
      name: nameBytes(relation),
      logFrom: table?.logFrom == null ? 0n : parseLsn(table.logFrom),
      copiedAt: table?.copiedAt == null ? 0n : parseLsn(table.copiedAt),
      isFollowed: false,
      key: mirrored ? keyIndexes(relation, goesOn ? describedBy(before) : table) : undefined,
    });
  }

  /** Names that the table had before. */
  namesBefore({ id, relation: { oid } }: KnownTable): string[] {
    return [...this.#captured].flatMap(([before, { catalog }]) =>
      catalog?.oid === oid && before !== id ? [before] : [],
    );
  }
}

interface KeyDescription {
  readonly key: readonly string[];
  readonly columns: readonly { readonly name: string }[] | null;
}

/**
 * Finds the indexes of the key columns, in key order. The key has the names that were known last: a column
 * renamed since is the identity column at the same place, or else the only one with a new name.
 *
 * @returns -1 for a column that is not found; whoever applies the changes checks the others too
 */
function keyIndexes({ columns }: Relation, { key, columns: known }: KeyDescription): number[] {
  const renamed = columns.flatMap(({ name, isKey }, index) => (isKey && !key.includes(name) ? [index] : []));
  return key.map((name) => {
    const named = columns.findIndex((column) => column.name === name);
    if (named !== -1) return named;
    const place = known?.findIndex((column) => column.name === name) ?? -1;
    if (renamed.includes(place)) return place;
    return renamed.length === 1 ? (renamed[0] ?? -1) : -1;
  });
}

/** Returns how the stream last described a table. */
function describedBy({ relation: { columns }, key = [] }: KnownTable): KeyDescription {
  return { key: key.map((index) => columns[index]?.name ?? ''), columns };
}
