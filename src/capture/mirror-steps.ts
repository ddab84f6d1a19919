import { isDeepStrictEqual } from 'node:util';
import { MirrorBatch, type MirrorValue } from '../bronze/cdc/mirror-batch.ts';
import {
  NULL_VALUE,
  TEXT_VALUE,
  UNCHANGED,
  type OldKind,
  type Relation,
  type Tuple,
} from '../postgres/replication/pgoutput.ts';
import type { KnownTable } from './known-tables.ts';
import type { MirrorStep } from './segment.ts';

/** An update that brings a row into the publication's filter is sent as an INSERT, without what it did not touch. */
const CAME_INCOMPLETE = 'a row came into the row filter of the publication without its large values';
/** Of an old row, PostgreSQL sends the columns that identify it in its partition. */
const OTHERWISE_IDENTIFIED =
  'an old row came without its key, since its partition identifies rows by other columns than the table';

type Description = Pick<Extract<MirrorStep, { kind: 'relation' }>, 'relation' | 'key'>;

/** Collects what a part of the stream does to the copies of its tables. */
export class MirrorSteps {
  #steps = new Map<string, MirrorStep[]>();
  /** Of each table, the description that its last steps follow. */
  #described = new Map<string, Description>();
  #changes = 0;

  get isEmpty(): boolean {
    return this.#steps.size === 0;
  }

  /** Changes of rows that were collected. */
  get changes(): number {
    return this.#changes;
  }

  /** Returns the steps by table, in the order of the stream, and begins again with none. */
  take(): ReadonlyMap<string, readonly MirrorStep[]> {
    const steps = this.#steps;
    this.#steps = new Map();
    this.#described = new Map();
    this.#changes = 0;
    return steps;
  }

  /**
   * A partitioned table is described anew before the first change of each partition. The catalog is asked once for all
   * that are alike: when the steps are applied, it has whatever the source had when it sent the last of them.
   */
  describe({ id, relation, key }: KnownTable): void {
    if (key === undefined || isDeepStrictEqual(this.#described.get(id), { relation, key })) return;
    this.#described.set(id, { relation, key });
    this.#push(id, { kind: 'relation', relation, key });
  }

  rename(before: string, to: string, commitLsn: string): void {
    this.#described.delete(before);
    this.#push(before, { kind: 'renamed', to, commitLsn });
  }

  insert(known: KnownTable, row: Tuple): void {
    const values = valuesOf(row);
    if (values.includes(undefined)) this.#lose(known, CAME_INCOMPLETE);
    else this.#batchOf(known).insert(values);
  }

  update(known: KnownTable, row: Tuple, old: Tuple, kind: OldKind): void {
    const batch = this.#batchOf(known);
    const before = kind === 'none' ? undefined : oldValuesOf(known, old, kind);
    if (before !== undefined && !batch.hasKey(before)) {
      this.#lose(known, OTHERWISE_IDENTIFIED);
      return;
    }
    const move = batch.update(valuesOf(row), before);
    if (move !== undefined) this.#push(known.id, { kind: 'move', columns: batch.columns, move });
  }

  delete(known: KnownTable, old: Tuple, kind: OldKind): void {
    const batch = this.#batchOf(known);
    const before = oldValuesOf(known, old, kind);
    if (batch.hasKey(before)) batch.delete(before);
    else this.#lose(known, OTHERWISE_IDENTIFIED);
  }

  truncate(known: KnownTable): void {
    this.#batchOf(known).truncate();
  }

  #lose({ id }: KnownTable, reason: string): void {
    this.#push(id, { kind: 'unknown row', reason });
  }

  #push(id: string, step: MirrorStep): void {
    const steps = this.#steps.get(id) ?? [];
    this.#steps.set(id, steps);
    steps.push(step);
  }

  /** Returns where a change goes, and counts it. */
  #batchOf({ id, relation, key }: KnownTable): MirrorBatch {
    this.#changes += 1;
    const last = this.#steps.get(id)?.at(-1);
    if (last?.kind === 'batch') return last.batch;
    const batch = new MirrorBatch(relation.columns.map(({ name }) => name), key ?? []); // prettier-ignore
    this.#push(id, { kind: 'batch', batch });
    return batch;
  }
}

/** Of a key, only the columns that identify the row were sent: others come as NULL without having to be. */
function oldValuesOf({ relation }: KnownTable, old: Tuple, kind: OldKind): MirrorValue[] {
  return valuesOf(old, kind === 'key' ? relation : undefined);
}

/** @param identity given if only its key columns were sent */
function valuesOf(tuple: Tuple, identity?: Relation): MirrorValue[] {
  const values: MirrorValue[] = [];
  for (let column = 0; column < tuple.count; column += 1) {
    const kind = tuple.kinds[column];
    if (kind === UNCHANGED || (identity !== undefined && identity.columns[column]?.isKey !== true)) {
      values.push(undefined);
    } else if (kind === NULL_VALUE) {
      values.push(null);
    } else if (kind === TEXT_VALUE) {
      values.push(tuple.buffer.toString('utf8', tuple.starts[column], tuple.ends[column]));
    }
  }
  return values;
}
