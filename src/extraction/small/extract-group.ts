import type { MayBegin } from '../../bronze/bookkeeping/database-runs.ts';
import {
  beginLoading,
  createStorage,
  exchangePlain,
  newStorage,
  type Loading,
  type PlainRun,
} from '../../bronze/commit/exchange-plain.ts';
import { rowChunkCount, type ExtractionPlan, type PlannedPartition } from '../../bronze/plan.ts';
import { isPlainExchange, type PlainTable } from '../../bronze/schema/plain-table.ts';
import type { WarehouseTypes } from '../../bronze/schema/type-mapping.ts';
import { readWarehouseTypes } from '../../bronze/schema/warehouse-types.ts';
import type { Copied } from '../../contract/chunks.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Attempt } from '../../contract/attempt.ts';
import { Catalog } from '../../postgres/catalog/catalog.ts';
import { pipeCopy } from '../../postgres/copy/copy-pipe.ts';
import type { Database, TransactionOptions } from '../../postgres/database.ts';
import type { Session } from '../../postgres/session.ts';
import { enterSnapshot, type Moment } from '../../postgres/snapshot.ts';
import { rangesOfChunk, type ChunkRange } from '../plan/chunk-ranges.ts';
import { naming } from '../copy/copy-into.ts';
import { copyIn, copyOut } from '../copy/copy-statements.ts';
import type { Finished, SmallTable } from './extract-small-table.ts';
import { copyAsPlanned, requireReadAsPlanned, requireSameFiles } from '../plan/plan-checks.ts';
import { planTable } from '../plan/plan-table.ts';

/** Tables exchanged together are locked against readers until all are done: some milliseconds. */
const MOST_TABLES = 25;
/** A group that reaches either limit is committed: it holds locks on the source, and fails as a whole. */
const ENOUGH_BYTES = 16 * 1024 * 1024;
const ENOUGH_MS = 500;

/** A small table and the plain bronze table that it feeds; undefined if that is to be created. */
export interface Exchangeable {
  readonly table: SmallTable;
  readonly bronze: PlainTable | undefined;
}

export interface GroupContext {
  readonly warehouse: Database;
  readonly source: Database;
  /** For sessions that write to the warehouse or query the source's catalog. */
  readonly limits: TransactionOptions;
  /** For sessions that copy from the source. */
  readonly reading: TransactionOptions;
  /** Set when all tables share one snapshot; otherwise each group takes its own. */
  readonly snapshot: Snapshot | undefined;
  readonly attempt: Attempt;
  /** Called on any progress. */
  readonly passed: () => void;
  readonly isStopping: () => boolean;
  /** Says which of these tables may start now; `elsewhere` marks those to be extracted another way. */
  readonly mayBegin: (
    session: Session,
    tables: readonly SmallTable[],
  ) => Promise<ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>>;
  readonly onBegin: (table: SmallTable) => void;
  readonly onDone: (table: SmallTable, result: Finished) => void;
}

interface Extracted {
  /** Number of leading tables handled; those not in `done` are left to be extracted one by one. */
  readonly begun: number;
  readonly done: readonly (readonly [SmallTable, Finished])[];
}

/** Extracts a leading group of the tables in one transaction on each server, small enough to commit quickly. */
export async function extractGroup(
  tables: readonly Exchangeable[],
  context: GroupContext,
): Promise<Extracted | 'paused'> {
  const { warehouse, limits, mayBegin } = context;
  return warehouse.write({ ...limits, attempt: context.attempt }, async (session) => {
    const next = tables.slice(0, mostAtOnce(tables));
    const may = await mayBegin(session, next.map(({ table }) => table)); // prettier-ignore
    if ([...may.values()].includes('paused')) return 'paused';
    const copies = await copyGroup(session, next, may, context);
    const exchanged = await exchangePlain(session, copies.flatMap(({ run }) => run ?? [])); // prettier-ignore
    const done = copies.flatMap(({ table, run }) => {
      if (may.get(table) === 'skipped') return [[table, { outcome: 'skipped' }] as const];
      return run !== undefined && exchanged.has(run) ? [[table, finished(run)] as const] : [];
    });
    return { begun: copies.length, done };
  });
}

/** Gives a table with a condition a group of its own: it may be slow, and would hold up the others. */
function mostAtOnce(tables: readonly Exchangeable[]): number {
  const slow = tables.findIndex(({ table }) => table.input.where !== undefined);
  return slow === -1 ? MOST_TABLES : Math.min(MOST_TABLES, Math.max(1, slow));
}

/** A table that was handled, and the run whose rows are ready to be exchanged, if any. */
interface Copy {
  readonly table: SmallTable;
  readonly run?: PlainRun | undefined;
}

/** The context within one reading transaction of the source. */
interface Group extends GroupContext {
  readonly catalog: Catalog;
  readonly moment: Moment;
  readonly types: WarehouseTypes;
}

/** Copies tables as of one snapshot. The source transaction ends, releasing its locks, before they become visible. */
async function copyGroup(
  session: Session,
  tables: readonly Exchangeable[],
  may: ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>,
  context: GroupContext,
): Promise<Copy[]> {
  const { source, limits, reading, snapshot } = context;
  // before the snapshot, so that it includes whatever has been seen to end by now
  const loadings = await beginLoading(session, tables.length);
  let partitions: readonly PlannedPartition[] = [];
  const inOneMoment = async (reader: Session): Promise<Copy[]> => {
    const moment = await enterSnapshot(reader, snapshot);
    const catalog = new Catalog(reader, source.host);
    await catalog.readAhead(tables.map(({ table }) => table.input.table));
    const types = await readWarehouseTypes(session, catalog.allTypes, await catalog.server());
    const copies = await copyTables(session, tables, loadings, may, { ...context, catalog, moment, types });
    partitions = copies.flatMap(({ run }) => run?.plan.partitions ?? []);
    await requireSameFiles(reader, partitions);
    return copies;
  };
  return copyAsPlanned(
    async (work) => source.read(limits, work),
    () => partitions,
    async () => source.read(reading, inOneMoment),
  );
}

/** Copies the tables that may start, until a limit is reached or the worker is stopping; at least the first. */
async function copyTables(
  session: Session,
  tables: readonly Exchangeable[],
  loadings: readonly Loading[],
  may: ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>,
  group: Group,
): Promise<Copy[]> {
  const until = performance.now() + ENOUGH_MS;
  const copies: Copy[] = [];
  let bytes = 0;
  for (const [index, one] of tables.entries()) {
    const loading = loadings[index];
    const isEnough = performance.now() >= until || bytes >= ENOUGH_BYTES || group.isStopping();
    if (loading === undefined || (copies.length > 0 && isEnough)) break;
    const run = may.get(one.table) === 'yes' ? await copyTable(session, one, loading, group) : undefined;
    bytes += run?.chunk.bytes ?? 0;
    copies.push({ table: one.table, run });
  }
  return copies;
}

/** @returns undefined if the table needs more than an exchange of rows */
async function copyTable(
  session: Session,
  { table: small, bronze: before }: Exchangeable,
  loading: Loading,
  group: Group,
): Promise<PlainRun | undefined> {
  const { catalog, types, attempt, moment, passed, onBegin } = group;
  passed();
  onBegin(small);
  const order = small.before?.order ?? loading.planId;
  const planned = await planTable(catalog, session, small.input, { inSnapshot: true, known: { types } });
  const plan = { ...planned, order };
  const isNewer = BigInt(order) > BigInt(before?.loadedOrder ?? 0);
  if (!isNewer || rowChunkCount(plan) !== 1 || !isPlainExchange(plan, before)) return undefined;
  const [range, ...others] = rangesOfChunk(plan, 0);
  if (range === undefined || others.length > 0) return undefined;
  const storage = newStorage(plan, loading);
  const copied = await copyRows(session, { plan, range, storage }, group);
  return { run: small.run, plan, before, loading, storage, chunk: { attempt, moment, ...copied } };
}

/** Creates the table and starts the COPY into it in one round trip. */
async function copyRows(
  target: Session,
  { plan, range, storage }: Pick<PlainRun, 'plan' | 'storage'> & { readonly range: ChunkRange },
  { source, catalog, passed }: Group,
): Promise<Copied> {
  const { session } = catalog;
  const { label } = source;
  const statement = `${createStorage(plan, storage)}; ${copyIn(plan, storage)}`;
  const copy = async () =>
    naming([range.partition], label, async () =>
      pipeCopy({
        source: { session, statement: copyOut(plan, range) },
        target: { session: target, statement },
        onProgress: passed,
      }),
    );
  if (!(await needsRolePath(catalog, plan))) return copy();
  return session.withRolePath(async () => {
    const copied = await copy();
    // while the lock is held: leaving the role path releases it, before the whole group is checked
    await requireReadAsPlanned(session, plan, [range.partition]);
    return copied;
  });
}

/** True if reading runs user-written SQL or puts object names into values; setting the path costs round trips. */
async function needsRolePath(catalog: Catalog, { table, where, columns }: ExtractionPlan): Promise<boolean> {
  const { kind, rowSecurityActive } = await catalog.table(table);
  const writesNames = columns.some(({ read }) => read === 'to_jsonb' || read === 'object names');
  return where !== null || kind !== 'table' || rowSecurityActive || writesNames;
}

function finished({ plan, chunk }: PlainRun): Finished {
  const { source, warnings } = plan;
  const { rows, bytes, moment } = chunk;
  return { outcome: 'committed', rows, bytes, warnings, source, snapshotAt: moment.takenAt };
}
