import type { MayBegin } from '../bronze/database-runs.ts';
import {
  beginLoading,
  createStorage,
  exchangePlain,
  newStorage,
  type Loading,
  type PlainRun,
} from '../bronze/exchange-plain.ts';
import { rowChunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { isPlainExchange, type PlainTable } from '../bronze/plain-table.ts';
import type { WarehouseTypes } from '../bronze/type-mapping.ts';
import type { Copied } from '../contract/activities.ts';
import type { Attempt } from '../contract/attempt.ts';
import type { Catalog } from '../postgres/catalog/catalog.ts';
import { pipeCopy } from '../postgres/copy-pipe.ts';
import type { Database, TransactionOptions } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import type { Moment } from '../postgres/snapshot.ts';
import { rangesOfChunk, type ChunkRange } from './chunk-ranges.ts';
import { naming } from './copy-chunks.ts';
import { copyIn, copyOut } from './copy-statements.ts';
import type { Finished, SmallTable } from './extract-small-table.ts';
import { requireSameFiles } from './plan-checks.ts';
import { planTable } from './plan-table.ts';

/** What is exchanged at once is kept from its readers for as long as all of it takes: some milliseconds. */
const MOST_TABLES = 25;
/** A group that has come so far is made visible: it holds locks on the source, and is lost as a whole. */
const ENOUGH_BYTES = 16 * 1024 * 1024;
const ENOUGH_MS = 250;

/** A small table, with the plain table that it feeds. */
export interface Able {
  readonly table: SmallTable;
  readonly bronze: PlainTable;
  /** The number that stands for the snapshot among those of plans. */
  readonly order: string;
}

/** Of tables that are read in one transaction of the source. */
export interface GroupContext {
  readonly warehouse: Database;
  readonly limits: TransactionOptions;
  /** The name that messages call the source by. */
  readonly label: string;
  /** With the session that reads. */
  readonly catalog: Catalog;
  readonly moment: Moment;
  readonly types: WarehouseTypes;
  readonly attempt: Attempt;
  /** Called for all that passes. */
  readonly passed: () => void;
  readonly isStopping: () => boolean;
  /** Asked for tables that may be begun next; `elsewhere` are those that are not to be extracted in this way. */
  readonly mayBegin: (
    session: Session,
    tables: readonly SmallTable[],
  ) => Promise<ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>>;
  readonly onBegin: (table: SmallTable) => void;
  readonly onDone: (table: SmallTable, result: Finished) => void;
}

interface Extracted {
  /** How many of the first tables it has looked at: those that it did nothing for are left to others. */
  readonly begun: number;
  readonly done: readonly (readonly [SmallTable, Finished])[];
}

/** Extracts some of the first tables in one transaction of the warehouse: as many as are made visible quickly. */
export async function extractGroup(
  tables: readonly Able[],
  context: GroupContext,
): Promise<Extracted | 'paused'> {
  const { warehouse, limits, catalog, mayBegin } = context;
  return warehouse.write(limits, async (session) => {
    const next = tables.slice(0, mostAtOnce(tables));
    const may = await mayBegin(session, next.map(({ table }) => table)); // prettier-ignore
    if ([...may.values()].includes('paused')) return 'paused';
    const copies = await copyTables(session, next, may, context);
    const runs = copies.flatMap(({ run }) => run ?? []);
    await requireSameFiles(
      catalog.session,
      runs.flatMap(({ plan }) => plan.partitions),
    );
    const exchanged = await exchangePlain(session, runs);
    const done = copies.flatMap(({ table, run }) => {
      if (may.get(table) === 'skipped') return [[table, { outcome: 'skipped' }] as const];
      return run !== undefined && exchanged.has(run) ? [[table, finished(run)] as const] : [];
    });
    return { begun: copies.length, done };
  });
}

/** What is slow to read would keep the others waiting. */
function mostAtOnce(tables: readonly Able[]): number {
  const slow = tables.findIndex(({ table }) => table.input.where !== undefined);
  return slow === -1 ? MOST_TABLES : Math.min(MOST_TABLES, Math.max(1, slow));
}

/** A table that was looked at, and the run whose rows are ready for it where there is one. */
interface Copy {
  readonly table: SmallTable;
  readonly run?: PlainRun | undefined;
}

/** Copies those that may be begun, until it is enough: the first of them at least. */
async function copyTables(
  session: Session,
  tables: readonly Able[],
  may: ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>,
  context: GroupContext,
): Promise<Copy[]> {
  const loadings = await beginLoading(session, tables.length);
  const until = performance.now() + ENOUGH_MS;
  const copies: Copy[] = [];
  let bytes = 0;
  for (const [index, one] of tables.entries()) {
    const loading = loadings[index];
    const isEnough = performance.now() >= until || bytes >= ENOUGH_BYTES || context.isStopping();
    if (loading === undefined || (copies.length > 0 && isEnough)) break;
    const run = may.get(one.table) === 'yes' ? await copyTable(session, one, loading, context) : undefined;
    bytes += run?.chunk.bytes ?? 0;
    copies.push({ table: one.table, run });
  }
  return copies;
}

/** @returns nothing where more would have to be done than to exchange rows */
async function copyTable(
  session: Session,
  { table: small, bronze: before, order }: Able,
  loading: Loading,
  context: GroupContext,
): Promise<PlainRun | undefined> {
  const { catalog, types, attempt, moment, passed, onBegin } = context;
  passed();
  onBegin(small);
  const plan = { ...(await planTable(catalog, session, small.input, { known: { types } })), order };
  const isNewer = BigInt(order) > BigInt(before.loadedOrder);
  if (!isNewer || rowChunkCount(plan) !== 1 || !isPlainExchange(plan, before)) return undefined;
  const [range, ...others] = rangesOfChunk(plan, 0);
  if (range === undefined || others.length > 0) return undefined;
  const storage = newStorage(plan, loading);
  const copied = await copyRows(session, { plan, range, storage }, context);
  return { run: small.run, plan, before, loading, storage, chunk: { attempt, moment, ...copied } };
}

/** Makes the table and fills it by what is sent at once. */
async function copyRows(
  target: Session,
  { plan, range, storage }: Pick<PlainRun, 'plan' | 'storage'> & { readonly range: ChunkRange },
  { warehouse, catalog, label, passed }: GroupContext,
): Promise<Copied> {
  const { session } = catalog;
  const statement = `${createStorage(plan, storage)}; ${copyIn(plan, storage)}`;
  const copy = async () =>
    naming(range, label, async () =>
      pipeCopy({
        source: { session, label, statement: copyOut(plan, range) },
        target: { session: target, label: warehouse.label, statement },
        onProgress: passed,
      }),
    );
  if (!(await needsRolePath(catalog, plan))) return copy();
  return session.withRolePath(async () => {
    const copied = await copy();
    // its locks are given back before the others are looked at
    await requireSameFiles(session, [range.partition]);
    return copied;
  });
}

/** Whether to read the table runs what users have written, or writes names of objects within values. To ask for the path takes time. */
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
