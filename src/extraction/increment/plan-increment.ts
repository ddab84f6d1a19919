import { findBronzeTable, readColumnDefinitions } from '../../bronze/schema/bronze-table.ts';
import {
  findCheckpoint,
  requireSameSettings,
  type StoredOrigin,
} from '../../bronze/bookkeeping/checkpoints.ts';
import { requireViewName } from '../../bronze/schema/current-view.ts';
import type { CheckpointLimit, IncrementalPlan } from '../../bronze/incremental-plan.ts';
import { BRONZE } from '../../bronze/layout.ts';
import { findColumnsOfLastRun } from '../../bronze/bookkeeping/manifest.ts';
import type { PlannedColumn } from '../../bronze/plan.ts';
import { findDrift } from '../../bronze/schema/schema-drift.ts';
import { findBase } from '../../bronze/bookkeeping/targets.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { Column } from '../../postgres/catalog/columns.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import type { Cursor } from '../../postgres/cursor.ts';
import type { Session } from '../../postgres/session.ts';
import { compareOrigin } from './compare-origin.ts';
import { countNullCursors } from './count-nulls.ts';
import { chooseCursor } from './cursor-choice.ts';
import { boundsOf, restate } from './cursor-bounds.ts';
import { goneBackWarnings } from './gone-back.ts';
import { limitCheckpoint } from './checkpoint-limit.ts';
import { chooseKey } from './key-choice.ts';
import { lateRowWarnings } from './late-row-warnings.ts';

/** Everything needed to decide the incremental part of a plan. */
export interface IncrementalContext {
  readonly source: Session;
  readonly warehouse: Session;
  readonly input: ExtractTableInput & { readonly incremental: NonNullable<ExtractTableInput['incremental']> };
  readonly table: Table;
  readonly target: string;
  readonly columns: readonly Column[];
  readonly planned: readonly PlannedColumn[];
  readonly partitions: readonly Partition[];
  /** Found before the snapshot in which the plan is made; if undefined, it is found now. */
  readonly limit: CheckpointLimit | undefined;
}

/** Decides what an incremental run reads and how it is written. */
export async function planIncrement(
  context: IncrementalContext,
): Promise<{ readonly plan: IncrementalPlan; readonly warnings: readonly string[] }> {
  const { source, warehouse, input, table, target, partitions } = context;
  const { cursor, facts } = await chooseCursor(context);
  const { key, keyNullable, warning } = await chooseKey(context);
  if (input.currentView === true) requireViewName(target);
  // the base before the checkpoint: the commit detects whatever changes in between
  const base = await findBase(warehouse, target);
  const write = input.write === 'merge' ? ('merge' as const) : ('append' as const);
  const settings = { column: cursor.column, write, key, where: input.where ?? null };
  const start = await whereToStart(context, settings, cursor);
  const { range, moves } = await boundsOf(source, cursor, input.incremental, start.checkpoint);
  const extraction = start.anew ? 'full' : 'incremental';
  // no checkpoint says which rows bronze has: a run with bounds may leave some out
  const gap = !start.anew && start.checkpoint === null;
  const limit =
    context.limit ?? (await limitCheckpoint(source, { table, partitions, cursor, indexed: facts.indexed }));
  const everything = range.from === null && range.to === null;
  const mayMove = moves && !gap;
  const read = { target, cursor, write, database: facts.database, table: table.oid };
  const { warnings: ofOrigin, ...origin } = mayMove
    ? await compareOrigin(source, start.origin, read)
    : { warnings: [] };
  const plan: IncrementalPlan = {
    extraction,
    cursor,
    range,
    write,
    key,
    keyNullable,
    checkpoint: start.checkpoint,
    moves: mayMove,
    ...origin,
    limit,
    ...base,
    schemaChanges: input.schemaChanges ?? 'evolve',
    nullCursors: everything ? null : await countNullCursors(context, cursor),
    keyChunks: input.detectDeletes === true && extraction === 'incremental' ? partitions.length : 0,
    currentView: input.currentView ?? false,
  };
  const { lookback, from } = input.incremental;
  const readFrom = from === undefined ? range.from : null;
  return {
    plan,
    warnings: [
      ...warning,
      ...lateRowWarnings(limit, { table, cursor, lookback }),
      ...(await goneBackWarnings(source, { table, cursor }, limit, readFrom)),
      ...(from === undefined ? ofOrigin : []),
      ...(moves && gap ? [noCheckpoint(target)] : []),
    ],
  };
}

const noCheckpoint = (target: string): string =>
  `${BRONZE}.${target} has no checkpoint that this run could continue from, so with "from" it sets none: rows below "from" that bronze lacks would never be read. The next run without "from" and "to" extracts everything again and sets one.`;

type Settings = Parameters<typeof requireSameSettings>[1];

interface Start {
  /** True if the rows read replace everything in bronze. */
  readonly anew: boolean;
  readonly checkpoint: string | null;
  /** What the checkpoint was read from; undefined if there is none, null if that is not known. */
  readonly origin?: StoredOrigin | null;
}

/** There is nothing to continue from, or the input asks for a fresh start. */
const ANEW: Start = { anew: true, checkpoint: null };

/** Decides where a run starts, from the state of bronze and the input. */
async function whereToStart(
  { source, warehouse, input, target, planned }: IncrementalContext,
  settings: Settings,
  cursor: Cursor,
): Promise<Start> {
  const bronze = await findBronzeTable(warehouse, target);
  if (bronze?.storage === undefined || input.resetCheckpoint === true) return ANEW;
  const checkpoint = await findCheckpoint(warehouse, target);
  const { from, to } = input.incremental;
  if (checkpoint === undefined && from === undefined && to === undefined) return ANEW;
  if (checkpoint !== undefined) requireSameSettings(target, checkpoint, settings);
  const drift = {
    target: `${BRONZE}.${target}`,
    planned,
    bronze: await readColumnDefinitions(warehouse, bronze),
    previous: await findColumnsOfLastRun(warehouse, target),
    policy: input.schemaChanges ?? 'evolve',
  };
  findDrift(drift);
  if (checkpoint === undefined) return { anew: false, checkpoint: null };
  requireSameOrder(target, checkpoint.type, cursor.kind);
  const { origin } = checkpoint;
  return { anew: false, checkpoint: await restate(source, cursor, checkpoint), origin };
}

const family = (kind: string): string =>
  ['smallint', 'integer', 'bigint', 'numeric'].includes(kind) ? 'number' : kind;

/** Allows a date widened to a timestamp and changes between number types, which keep the order. */
function requireSameOrder(target: string, before: string, now: string): void {
  if (family(before) === family(now) || (before === 'date' && now === 'timestamp')) return;
  throw new DatakitError(
    'SchemaChanged',
    `The checkpoint of ${BRONZE}.${target} is a ${before}, and the cursor column is ${now} now`,
  );
}
