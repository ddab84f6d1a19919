import { rowChunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { takeOrder } from '../bronze/plans.ts';
import { findPlainTables, isPlainExchange, type PlainTable } from '../bronze/plain-table.ts';
import { createStorage, exchangePlain } from '../bronze/exchange-plain.ts';
import { lockTarget } from '../bronze/targets.ts';
import { feedOf } from '../bronze/layout.ts';
import type { WarehouseTypes } from '../bronze/type-mapping.ts';
import { readWarehouseTypes } from '../bronze/warehouse-types.ts';
import type { Copied } from '../contract/activities.ts';
import type { Attempt } from '../contract/attempt.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import type { TableName } from '../contract/table-name.ts';
import { applicationName } from '../postgres/application-name.ts';
import { Catalog } from '../postgres/catalog/catalog.ts';
import type { Database, TransactionOptions } from '../postgres/database.ts';
import { pipeCopy } from '../postgres/copy-pipe.ts';
import type { Session } from '../postgres/session.ts';
import { enterSnapshot, type Moment } from '../postgres/snapshot.ts';
import { rangesOfChunk } from './chunk-ranges.ts';
import { naming, type CopyContext } from './copy-chunks.ts';
import { copyIn, copyOut } from './copy-statements.ts';
import { LOCK_TIMEOUT, type Finished, type SmallTable } from './extract-small-table.ts';
import { requireSameFile } from './plan-checks.ts';
import { planTable } from './plan-table.ts';
import { readingLimits } from './plan-run.ts';
import { StallWatch } from './stall-watch.ts';

export interface PackContext extends Omit<CopyContext, 'onCopied' | 'onProgress'> {
  readonly onBegin: (table: SmallTable) => void;
  readonly onDone: (table: SmallTable, result: Finished) => void;
}

/**
 * Extracts small tables whose bronze tables are plain, one after the other: all are planned and read in one
 * transaction of the source, and each is made visible in one of the warehouse, with as few statements as can be.
 *
 * What is not done so, for whatever reason, is left to {@link extractSmallTable}: it can do all of them,
 * and says what is wrong with one.
 *
 * @returns why it came to an end before the last of them, where it did
 */
export async function extractPlainTables(
  tables: readonly SmallTable[],
  context: PackContext,
): Promise<Error | undefined> {
  const [first] = tables;
  if (first === undefined) return undefined;
  const watch = new StallWatch(first.input.stallTimeout);
  const signal = AbortSignal.any([context.signal, watch.signal]);
  try {
    await extractAll(tables, first, { ...context, signal }, watch.passed);
    return undefined;
  } catch (error) {
    context.signal.throwIfAborted();
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    watch.close();
  }
}

/** Whether nothing is asked for but the rows of a table, and not more than to read them. */
export const isPlain = ({
  incremental,
  write,
  partitions,
  onlyChanged,
  requireAllRows,
  verify,
}: ExtractTableInput): boolean =>
  [incremental, write, partitions, onlyChanged].every((input) => input === undefined) &&
  !requireAllRows &&
  verify !== 'checksum';

/** Whether one transaction of the source can read both, as the settings of its sessions go. */
export function readAlike(one: ExtractTableInput, other: ExtractTableInput): boolean {
  const limits = [one, other].map((input) => [input.source, input.stallTimeout, readingLimits(input)]);
  return JSON.stringify(limits[0]) === JSON.stringify(limits[1]);
}

/** A pack of tables under way, each with the bronze table that it feeds. */
interface Pack {
  readonly warehouse: Database;
  readonly limits: TransactionOptions;
  /** A session of the source, and the name that messages call it by. */
  readonly label: string;
  readonly catalog: Catalog;
  readonly moment: Moment;
  readonly types: WarehouseTypes;
  readonly attempt: Attempt;
  readonly passed: () => void;
}

async function extractAll(
  tables: readonly SmallTable[],
  { input, run, snapshot }: SmallTable,
  { warehouse, sourceNamed, signal, attempt, ...context }: PackContext,
  passed: () => void,
): Promise<void> {
  const source = sourceNamed(input.source);
  const applied = { applicationName: applicationName(run.databaseRunId), signal, lockTimeout: LOCK_TIMEOUT };
  const limits = { ...applied, mode: 'READ WRITE' } as const;
  const { plain, order } = await warehouse.transaction(limits, async (session) => ({
    plain: await findPlainTables(
      session,
      tables.map((one) => feedOf(one.input).target),
    ),
    // before the transaction that reads begins: what is seen ending now is then in its snapshot
    order: await takeOrder(session),
  }));
  const able = tables.flatMap((table) => {
    const bronze = plain.get(feedOf(table.input).target);
    return bronze === undefined ? [] : [{ table, bronze, order: table.before?.order ?? order }];
  });
  if (able.length === 0) return;
  const reading = {
    ...readingLimits(input),
    ...applied,
    mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY',
  } as const;
  await source.transaction(reading, async (session) => {
    const moment = await enterSnapshot(session, snapshot);
    const catalog = new Catalog(session, source.host);
    await catalog.readAhead(able.map(({ table }) => table.input.table));
    const { version } = await catalog.server();
    const types = await warehouse.transaction(limits, async (target) =>
      readWarehouseTypes(target, catalog.allTypes, version),
    );
    const pack: Pack = { warehouse, limits, label: source.label, catalog, moment, types, attempt, passed };
    await session.query('SAVEPOINT before_table');
    for (const one of able) {
      if (context.isStopping()) break;
      passed();
      context.onBegin(one.table);
      const result = await extractOne(one, pack);
      if (result === 'paused') break;
      if (result !== 'unfit') context.onDone(one.table, result);
      // gives the locks on its table back, and keeps the snapshot
      await session.query('ROLLBACK TO SAVEPOINT before_table');
    }
  });
}

interface Able {
  readonly table: SmallTable;
  readonly bronze: PlainTable;
  /** The number that stands for the snapshot among those of plans. */
  readonly order: string;
}

async function extractOne(
  { table, bronze, order }: Able,
  pack: Pack,
): Promise<Finished | 'paused' | 'unfit'> {
  const { input, run } = table;
  const { warehouse, limits, catalog, types, attempt, moment } = pack;
  return warehouse.transaction(limits, async (session) => {
    const outcome = await table.mayBegin(session);
    if (outcome === 'paused') return outcome;
    if (outcome === 'skipped') return { outcome };
    const plan = { ...(await planTable(catalog, session, input, { known: { types } })), order };
    const isNewer = BigInt(order) > BigInt(bronze.loadedOrder);
    if (!isNewer || rowChunkCount(plan) !== 1 || !isPlainExchange(plan, bronze)) return 'unfit';
    await lockTarget(session, plan.target);
    const made = await createStorage(session, plan, bronze);
    if (made === undefined) return 'unfit';
    const copied = await copyRows(session, plan, made.storage, pack);
    await exchangePlain(session, bronze, made, { run, plan, chunk: { attempt, moment, ...copied } });
    const { source, warnings } = plan;
    return { outcome: 'committed', ...copied, warnings, source, snapshotAt: moment.takenAt };
  });
}

async function copyRows(
  target: Session,
  plan: ExtractionPlan,
  storage: TableName,
  { warehouse, catalog, label, passed }: Pack,
): Promise<Copied> {
  const all = { rows: 0, bytes: 0 };
  for (const range of rangesOfChunk(plan, 0)) {
    const { rows, bytes } = await naming(range, label, async () =>
      pipeCopy({
        source: { session: catalog.session, label, statement: copyOut(plan, range) },
        target: { session: target, label: warehouse.label, statement: copyIn(plan, storage) },
        onProgress: passed,
      }),
    );
    await requireSameFile(catalog.session, range.partition);
    all.rows += rows;
    all.bytes += bytes;
  }
  return all;
}
