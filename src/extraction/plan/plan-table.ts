import type { CheckpointLimit } from '../../bronze/incremental-plan.ts';
import { chooseHash } from '../../bronze/commit/digests.ts';
import type { ExtractionPlan, PlannedColumn } from '../../bronze/plan.ts';
import { defaultTarget, bookkeepingTables, isMetadata } from '../../bronze/layout.ts';
import { mapColumn, type SourceTypes, type WarehouseTypes } from '../../bronze/schema/type-mapping.ts';
import { readWarehouseTypes } from '../../bronze/schema/warehouse-types.ts';
import { requireTarget } from '../../bronze/bookkeeping/targets.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { chosenSettings } from '../../contract/session-settings.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName } from '../../contract/table-name.ts';
import type { Catalog } from '../../postgres/catalog/catalog.ts';
import { chooseColumns, type Column } from '../../postgres/catalog/columns.ts';
import { hasPartitions, type PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import { sourceUriOf, type ServerFacts } from '../../postgres/catalog/server.ts';
import { checkWhere, type Table } from '../../postgres/catalog/table.ts';
import { assertExpression } from '../../postgres/expression.ts';
import { requireFreshReplica } from '../../postgres/replica-lag.ts';
import { ownWords, sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { chooseAndRead, partitionColumn } from '../partitions/choose-and-read.ts';
import { chunkIncrement } from '../increment/increment-chunks.ts';
import { findOutside } from '../increment/outside-bounds.ts';
import { planLargeObjects } from './large-objects.ts';
import { deriveColumns } from './derived-columns.ts';
import { planIncrement, type IncrementalContext } from '../increment/plan-increment.ts';
import { warningsOfEarlierRows } from './earlier-rows.ts';
import { requireColumnNames } from './name-lengths.ts';
import { planPartitions, warningsOfTinyChunks } from './plan-partitions.ts';
import { requireAllRows, requireRoom } from './row-checks.ts';

/**
 * Decides everything that a run needs before it copies, in one read-only source transaction and without writing
 * anything.
 *
 * @param catalog of the source, as the reading transaction sees it
 * @param inSnapshot set if the transaction has entered the snapshot that the rows are read from
 * @param doubt why the source's statistics cannot be trusted; undefined if they can
 * @param known what the caller has already read from the warehouse; it has then checked the target, too
 * @param limit what the checkpoint of an incremental run must not pass, if found before the snapshot
 * @throws {DatakitError} whatever is wrong with the input, by its kind
 */
export async function planTable(
  catalog: Catalog,
  warehouse: Session,
  input: ExtractTableInput,
  {
    inSnapshot,
    doubt,
    limit,
    known,
  }: {
    readonly inSnapshot?: true;
    readonly doubt?: string | undefined;
    readonly limit?: CheckpointLimit | undefined;
    readonly known?: { readonly types: WarehouseTypes };
  },
): Promise<ExtractionPlan> {
  const source = catalog.session;
  if (input.where !== undefined) await assertExpression(input.where, 'where');
  await requireFreshReplica(source, input.maxReplicaLag);
  const server = await catalog.server();
  const table = await catalog.table(input.table);
  const columns = await chosenColumns(catalog, table, input);
  if (input.where !== undefined) await requireWhere(source, table, input.where);
  const target = chosenTarget(input);
  const standing =
    known === undefined
      ? await requireTarget(warehouse, target, { source: input.source, table: input.table })
      : undefined;
  const largeObjects = planLargeObjects(target, input);
  if (largeObjects !== undefined) {
    await requireTarget(warehouse, largeObjects.target, { source: input.source, table: input.table });
  }
  const types = await catalog.types(table);
  const tree = await catalog.tree(table);
  const data = [
    ...planColumns(
      columns,
      types,
      known?.types ?? (await readWarehouseTypes(warehouse, types, server.version)),
    ),
    ...deriveColumns(columns, types, input),
  ];
  const planned = hasPartitions(tree) ? [...data, partitionColumn] : data;
  requireRoom(data, input.table, {
    incremental: input.incremental !== undefined,
    partitioned: hasPartitions(tree),
  });
  const choosing = { catalog, warehouse, input, target, tree, planned, types };
  const chosen = await chooseAndRead({ ...choosing, doubt, isProvable: inSnapshot !== true });
  const { partitions } = chosen;
  if (input.requireAllRows) requireAllRows(partitions, server);
  const session = chosenSettings(input.tuning, input.session);
  const chunks = await planPartitions(catalog, { table, partitions, types, server, input });
  const sourceUri = sourceUriOf(server);
  const plan: ExtractionPlan = {
    source: input.source,
    sourceUri,
    table: input.table,
    target,
    columns: planned,
    where: input.where ?? null,
    format: data.every(({ binary }) => binary) ? 'binary' : 'text',
    size: chunks.size,
    blocksPerChunk: chunks.blocksPerChunk,
    ...chosen.plan,
    partitions: chunks.partitions,
    lockTimeout: input.lockTimeout,
    statementTimeout: input.statementTimeout ?? null,
    stallTimeout: input.stallTimeout,
    ...(input.idleTimeout !== undefined && { idleTimeout: input.idleTimeout }),
    ...(input.maxReplicaLag !== undefined && { maxReplicaLag: input.maxReplicaLag }),
    ...(session !== undefined && { session }),
    warnings: [
      ...warningsOf(table, partitions, server),
      ...warningsOfEarlierRows(standing, target, input, { sourceUri, columns: planned }),
      ...chosen.warnings,
      ...chunks.warnings,
    ],
    ...(largeObjects !== undefined && { largeObjects }),
    ...(input.requireAllRows && { requireAllRows: true }),
    ...(input.verify === 'checksum' && { hash: await chooseHash(source, warehouse) }),
  };
  const { incremental } = input;
  if (incremental === undefined) return withSizeWarnings(plan, input);
  const context = {
    source,
    warehouse,
    input: { ...input, incremental },
    table,
    target,
    columns,
    planned,
    partitions,
    limit,
  };
  return withSizeWarnings(await withIncrement(plan, context, tree), input);
}

const withSizeWarnings = (plan: ExtractionPlan, { chunkSize }: ExtractTableInput): ExtractionPlan => ({
  ...plan,
  warnings: [...plan.warnings, ...warningsOfTinyChunks(plan, chunkSize)],
});

async function withIncrement(
  plan: ExtractionPlan,
  context: IncrementalContext,
  tree: PartitionTree,
): Promise<ExtractionPlan> {
  const { plan: incremental, warnings } = await planIncrement(context);
  const whole = { ...plan, incremental, warnings: [...plan.warnings, ...warnings] };
  const { from, to } = incremental.range;
  if (from === null && to === null) return whole;
  // the keys of all rows are read from the partitions as they are planned
  const outside =
    incremental.keyChunks > 0 || !hasPartitions(tree)
      ? new Set<number>()
      : await findOutside(context.source, { ...context, tree }, incremental.cursor, incremental.range);
  const { chunkSize } = context.input;
  return { ...whole, ...(await chunkIncrement(context.source, whole, context, { chunkSize, outside })) };
}

async function chosenColumns(catalog: Catalog, table: Table, input: ExtractTableInput): Promise<Column[]> {
  const columns = chooseColumns(await catalog.columns(table), table, input);
  requireColumnNames(table, columns.map(({ name }) => name)); // prettier-ignore
  const clash = columns.find(({ name }) => isMetadata(name));
  if (clash === undefined) return columns;
  throw new DatakitError(
    'InvalidInput',
    `${formatTableName(table)} has a column "${clash.name}", which is the name of a metadata column: leave it out with "exclude"`,
  );
}

/** Has the server check the condition: unknown columns and functions, types other than boolean. */
async function requireWhere(source: Session, table: Table, where: string): Promise<void> {
  try {
    await checkWhere(source, table, where);
  } catch (error) {
    if (!(error instanceof Error) || !isAboutStatement(sqlStateOf(error))) throw error;
    throw new DatakitError('InvalidExpression', `"where" was refused by the source: ${ownWords(error)}`, {
      cause: error,
    });
  }
}

/** True for errors of syntax, names, types and literals, but not a lost connection or a missing privilege. */
function isAboutStatement(sqlState: string | undefined): boolean {
  return sqlState !== undefined && sqlState !== '42501' && /^(42|22|0A|54)/.test(sqlState);
}

/** What people write who take a target for a qualified name. A name may have dots elsewhere. */
const IN_BRONZE = /^"?bronze"?\./i;

export function chosenTarget({ target, table }: Pick<ExtractTableInput, 'target' | 'table'>): string {
  const chosen = target ?? defaultTarget(table);
  const qualified = IN_BRONZE.exec(chosen);
  if (qualified !== null) {
    throw new DatakitError(
      'InvalidInput',
      `"target" is the name of a table without its schema, which is always bronze: write "${chosen.slice(qualified[0].length)}"`,
    );
  }
  const reserved: readonly string[] = bookkeepingTables;
  if (!reserved.includes(chosen)) return chosen;
  throw new DatakitError(
    'InvalidInput',
    `"target" names ${chosen}, where datakit-postgres keeps its own records`,
  );
}

const planColumns = (
  columns: readonly Column[],
  types: SourceTypes,
  available: WarehouseTypes,
): PlannedColumn[] =>
  columns.map((column) => ({
    name: column.name,
    sourceType: column.type,
    ...mapColumn(column, types, available),
  }));

/** Each partition is read by its own name, so its own policies apply, whatever those of the parent. */
function warningsOf(table: Table, partitions: readonly Partition[], server: ServerFacts): string[] {
  const hiding = partitions.filter(({ rowSecurityActive }) => rowSecurityActive).map(formatTableName);
  if (hiding.length > 0) {
    return [
      `Row-level security is active on ${listed(hiding, 3)} for the role ${server.role}: rows that its policies hide were not extracted.`,
    ];
  }
  if (!table.rowSecurityActive) return [];
  return [
    `The policies of ${formatTableName(table)} hid nothing from the role ${server.role}: its partitions are read directly, and have none.`,
  ];
}
