import { findBronzeTable, readColumnDefinitions } from '../bronze/bronze-table.ts';
import { findCheckpoint, requireSameSettings } from '../bronze/checkpoints.ts';
import { requireViewName } from '../bronze/current-view.ts';
import type { CheckpointLimit, IncrementalPlan } from '../bronze/incremental-plan.ts';
import { BRONZE } from '../bronze/layout.ts';
import { findColumnsOfLastRun } from '../bronze/manifest.ts';
import type { PlannedColumn } from '../bronze/plan.ts';
import { findDrift } from '../bronze/schema-drift.ts';
import { findBase } from '../bronze/targets.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName } from '../contract/table-name.ts';
import type { Column } from '../postgres/catalog/columns.ts';
import type { CursorColumnFacts } from '../postgres/catalog/keys.ts';
import type { Partition } from '../postgres/catalog/partitions.ts';
import type { Table } from '../postgres/catalog/table.ts';
import { isTime } from '../postgres/cursor.ts';
import type { Session } from '../postgres/session.ts';
import { countNullCursors } from './count-nulls.ts';
import { chooseCursor } from './cursor-choice.ts';
import { boundsOf } from './cursor-bounds.ts';
import { limitCheckpoint } from './checkpoint-limit.ts';
import { chooseKey } from './key-choice.ts';

/** What is known already when the incremental part of a plan is decided. */
export interface IncrementalContext {
  readonly source: Session;
  readonly warehouse: Session;
  readonly input: ExtractTableInput & { readonly incremental: NonNullable<ExtractTableInput['incremental']> };
  readonly table: Table;
  readonly target: string;
  readonly columns: readonly Column[];
  readonly planned: readonly PlannedColumn[];
  readonly partitions: readonly Partition[];
  /** Found before the snapshot that the plan is made in; else it is found now. */
  readonly limit: CheckpointLimit | undefined;
}

/** Decides what an incremental run reads, and what it makes of it. */
export async function planIncrement(
  context: IncrementalContext,
): Promise<{ readonly plan: IncrementalPlan; readonly warnings: readonly string[] }> {
  const { source, warehouse, input, table, target, partitions } = context;
  const { cursor, facts } = await chooseCursor(context);
  const { key, keyNullable, warning } = await chooseKey(context);
  if (input.currentView === true) requireViewName(target);
  // the base before the checkpoint: what moves between the two is found by the commit
  const base = await findBase(warehouse, target);
  const write = input.write === 'merge' ? 'merge' : 'append';
  const settings = { column: cursor.column, write, key, where: input.where ?? null };
  const start = await whereToStart(context, settings, cursor.kind);
  const { range, moves } = await boundsOf(source, cursor, input.incremental, start.checkpoint);
  const extraction = start.anew ? 'full' : 'incremental';
  const limit =
    context.limit ?? (await limitCheckpoint(source, { table, partitions, cursor, indexed: facts.indexed }));
  const everything = range.from === null && range.to === null;
  const plan: IncrementalPlan = {
    extraction,
    cursor,
    range,
    write,
    key,
    keyNullable,
    checkpoint: start.checkpoint,
    moves,
    limit,
    ...base,
    schemaChanges: input.schemaChanges ?? 'evolve',
    nullCursors: everything ? null : await countNullCursors(context, cursor),
    keyChunks: input.detectDeletes === true && extraction === 'incremental' ? partitions.length : 0,
    currentView: input.currentView ?? false,
  };
  return { plan, warnings: [...warning, ...unprotected(plan, facts, input)] };
}

type Settings = Parameters<typeof requireSameSettings>[1];

/** Where there is nothing to go on from, or nothing is to be gone on from, the run is a full extraction. */
async function whereToStart(
  { warehouse, input, target, planned }: IncrementalContext,
  settings: Settings,
  kind: string,
): Promise<{ readonly anew: boolean; readonly checkpoint: string | null }> {
  const bronze = await findBronzeTable(warehouse, target);
  if (bronze?.storage === undefined || input.resetCheckpoint === true)
    return { anew: true, checkpoint: null };
  const checkpoint = await findCheckpoint(warehouse, target);
  const { from, to } = input.incremental;
  if (checkpoint === undefined && from === undefined && to === undefined)
    return { anew: true, checkpoint: null };
  if (checkpoint !== undefined) requireSameSettings(target, checkpoint, settings);
  const drift = {
    target: `${BRONZE}.${target}`,
    planned,
    bronze: await readColumnDefinitions(warehouse, bronze),
    previous: await findColumnsOfLastRun(warehouse, target),
    policy: input.schemaChanges ?? 'evolve',
  };
  findDrift(drift);
  if (checkpoint !== undefined) requireSameOrder(target, checkpoint.type, kind);
  return { anew: false, checkpoint: checkpoint?.value ?? null };
}

const family = (kind: string): string =>
  ['smallint', 'integer', 'bigint', 'numeric'].includes(kind) ? 'number' : kind;

/** A date widened to a timestamp, or an integer to another, is ordered as it was. */
function requireSameOrder(target: string, before: string, now: string): void {
  if (family(before) === family(now) || (before === 'date' && now === 'timestamp')) return;
  throw new DatakitError(
    'SchemaChanged',
    `The checkpoint of ${BRONZE}.${target} is a ${before}, and the cursor column is ${now} now`,
  );
}

function unprotected(
  { limit, cursor }: IncrementalPlan,
  facts: CursorColumnFacts,
  input: ExtractTableInput,
): string[] {
  if (limit.kind !== 'unseen') return [];
  const reason = isTime(cursor.kind)
    ? 'grant pg_read_all_stats to the role on the primary'
    : facts.indexed
      ? 'read the primary'
      : 'make an index that begins with it';
  const lookback = input.incremental?.lookback;
  const covered =
    lookback === undefined || lookback.size === '0'
      ? isTime(cursor.kind) && lookback === undefined
        ? 'Rows that commit late are covered by the lookback of an hour (a day for dates)'
        : 'Rows that commit late with a smaller value are missed'
      : 'Rows that commit late are covered by the lookback only';
  return [
    `Open transactions of ${formatTableName(input.table)} could not be seen. ${covered}; to see them, ${reason}.`,
  ];
}
