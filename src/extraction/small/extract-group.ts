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
import type { Copied, Snapshot } from '../../contract/activities.ts';
import type { Attempt } from '../../contract/attempt.ts';
import { Catalog } from '../../postgres/catalog/catalog.ts';
import { pipeCopy } from '../../postgres/copy/copy-pipe.ts';
import type { Database, TransactionOptions } from '../../postgres/database.ts';
import type { Session } from '../../postgres/session.ts';
import { enterSnapshot, type Moment } from '../../postgres/snapshot.ts';
import { rangesOfChunk, type ChunkRange } from '../plan/chunk-ranges.ts';
import { naming } from '../copy/copy-chunks.ts';
import { copyIn, copyOut } from '../copy/copy-statements.ts';
import type { Finished, SmallTable } from './extract-small-table.ts';
import { copyAsPlanned, requireSameFiles } from '../plan/plan-checks.ts';
import { planTable } from '../plan/plan-table.ts';

/** What is exchanged at once is kept from its readers for as long as all of it takes: some milliseconds. */
const MOST_TABLES = 25;
/** A group that has come so far is made visible: it holds locks on the source, and is lost as a whole. */
const ENOUGH_BYTES = 16 * 1024 * 1024;
const ENOUGH_MS = 250;

/** A small table, with the plain table that it feeds. */
export interface Able {
  readonly table: SmallTable;
  readonly bronze: PlainTable;
}

export interface GroupContext {
  readonly warehouse: Database;
  readonly source: Database;
  /** Of the sessions that write, and of those that ask. */
  readonly limits: TransactionOptions;
  /** Of the sessions that read. */
  readonly reading: TransactionOptions;
  /** Where all tables are of one moment; else each group has its own. */
  readonly snapshot: Snapshot | undefined;
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

/** Extracts some of the first tables in one transaction of each server: as many as are made visible quickly. */
export async function extractGroup(
  tables: readonly Able[],
  context: GroupContext,
): Promise<Extracted | 'paused'> {
  const { warehouse, limits, mayBegin } = context;
  return warehouse.write(limits, async (session) => {
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

/** Of a transaction of the source that reads tables. */
interface Group extends GroupContext {
  readonly catalog: Catalog;
  readonly moment: Moment;
  readonly types: WarehouseTypes;
}

/** Copies tables as of one moment. Its transaction of the source ends, and gives its locks back, before they are made visible. */
async function copyGroup(
  session: Session,
  tables: readonly Able[],
  may: ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>,
  context: GroupContext,
): Promise<Copy[]> {
  const { source, limits, reading, snapshot } = context;
  // before the moment: what is seen ending now is then in it
  const loadings = await beginLoading(session, tables.length);
  let partitions: readonly PlannedPartition[] = [];
  const inOneMoment = async (reader: Session): Promise<Copy[]> => {
    const moment = await enterSnapshot(reader, snapshot);
    const catalog = new Catalog(reader, source.host);
    await catalog.readAhead(tables.map(({ table }) => table.input.table));
    const { version } = await catalog.server();
    const types = await readWarehouseTypes(session, catalog.allTypes, version);
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

/** Copies those that may be begun, until it is enough: the first of them at least. */
async function copyTables(
  session: Session,
  tables: readonly Able[],
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

/** @returns nothing where more would have to be done than to exchange rows */
async function copyTable(
  session: Session,
  { table: small, bronze: before }: Able,
  loading: Loading,
  group: Group,
): Promise<PlainRun | undefined> {
  const { catalog, types, attempt, moment, passed, onBegin } = group;
  passed();
  onBegin(small);
  const order = small.before?.order ?? loading.planId;
  const plan = { ...(await planTable(catalog, session, small.input, { known: { types } })), order };
  const isNewer = BigInt(order) > BigInt(before.loadedOrder);
  if (!isNewer || rowChunkCount(plan) !== 1 || !isPlainExchange(plan, before)) return undefined;
  const [range, ...others] = rangesOfChunk(plan, 0);
  if (range === undefined || others.length > 0) return undefined;
  const storage = newStorage(plan, loading);
  const copied = await copyRows(session, { plan, range, storage }, group);
  return { run: small.run, plan, before, loading, storage, chunk: { attempt, moment, ...copied } };
}

/** Makes the table and fills it by what is sent at once. */
async function copyRows(
  target: Session,
  { plan, range, storage }: Pick<PlainRun, 'plan' | 'storage'> & { readonly range: ChunkRange },
  { warehouse, source, catalog, passed }: Group,
): Promise<Copied> {
  const { session } = catalog;
  const { label } = source;
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
