import type { CheckpointLimit } from '../../bronze/incremental-plan.ts';
import { chooseHash } from '../../bronze/commit/digests.ts';
import type { ExtractionPlan, PlannedColumn } from '../../bronze/plan.ts';
import { mapColumn, type SourceTypes, type WarehouseTypes } from '../../bronze/schema/type-mapping.ts';
import { readWarehouseTypes } from '../../bronze/schema/warehouse-types.ts';
import { requireTarget } from '../../bronze/bookkeeping/targets.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { chosenSettings } from '../../contract/session-settings.ts';
import type { Catalog } from '../../postgres/catalog/catalog.ts';
import { chooseColumns } from '../../postgres/catalog/choose-columns.ts';
import type { Column } from '../../postgres/catalog/columns.ts';
import { hasPartitions, type PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import { sourceUriOf, type ServerFacts } from '../../postgres/catalog/server.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import { assertExpression } from '../../postgres/expression.ts';
import { requireFreshReplica } from '../../postgres/replica-lag.ts';
import type { Session } from '../../postgres/session.ts';
import { choosePartitions, partitionColumn } from '../partitions/choose-partitions.ts';
import { chunkIncrement } from '../increment/increment-chunks.ts';
import { findOutside } from '../increment/outside-bounds.ts';
import { planIncrement, type IncrementalContext } from '../increment/plan-increment.ts';
import { checkWhere } from './check-where.ts';
import { chosenTarget } from './chosen-target.ts';
import { requireColumnNames, requireRoom } from './column-checks.ts';
import { deriveColumns } from './derived-columns.ts';
import { warningsOfEarlierRows } from './earlier-rows.ts';
import { planLargeObjects } from './large-objects.ts';
import { planPartitions, warningsOfTinyChunks } from './plan-partitions.ts';
import { requireAllRows, rowSecurityWarnings } from './row-security.ts';
import { warningsOfVirtualColumns } from './virtual-columns.ts';

interface Circumstances {
  /** Set if the transaction has entered the snapshot that the rows are read from. */
  readonly inSnapshot?: true;
  /** Why the source's statistics cannot be trusted; undefined if they can. */
  readonly doubt?: string | undefined;
  /** What the checkpoint of an incremental run must not pass, if found before the snapshot. */
  readonly limit?: CheckpointLimit | undefined;
  /** What the caller has already read from the warehouse; it has then checked the target, too. */
  readonly known?: { readonly types: WarehouseTypes };
}

/**
 * Decides everything that a run needs before it copies, in one read-only source transaction and without writing
 * anything.
 *
 * @param catalog of the source, as the reading transaction sees it
 * @throws {DatakitError} whatever is wrong with the input, by its kind
 */
export async function planTable(
  catalog: Catalog,
  warehouse: Session,
  input: ExtractTableInput,
  { inSnapshot, doubt, limit, known }: Circumstances,
): Promise<ExtractionPlan> {
  const { server, table, columns, types, tree } = await describeTable(catalog, input);
  const source = catalog.session;
  const target = chosenTarget(input);
  const standing = known === undefined ? await requireTarget(warehouse, target, input) : undefined;
  const largeObjects = planLargeObjects(target, input);
  if (largeObjects !== undefined) await requireTarget(warehouse, largeObjects.target, input);
  const available = known?.types ?? (await readWarehouseTypes(warehouse, types, server));
  const data = [...mapColumns(columns, types, available), ...deriveColumns(columns, types, input)];
  const partitioned = hasPartitions(tree);
  requireRoom(table, data.length, { incremental: input.incremental !== undefined, partitioned });
  const planned = partitioned ? [...data, partitionColumn] : data;
  const choosing = { catalog, warehouse, input, target, tree, planned, types };
  const chosen = await choosePartitions({ ...choosing, doubt, isProvable: inSnapshot !== true });
  const { partitions } = chosen;
  if (input.requireAllRows) requireAllRows(partitions, server);
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
    ...limitsOf(input),
    warnings: [
      ...rowSecurityWarnings(table, partitions, server),
      ...(partitioned ? await warningsOfVirtualColumns(source, table, columns, partitions) : []),
      ...warningsOfEarlierRows(standing, target, input, { sourceUri, columns: planned }),
      ...chosen.warnings,
      ...chunks.warnings,
    ],
    ...(largeObjects !== undefined && { largeObjects }),
    ...(input.requireAllRows && { requireAllRows: true }),
    ...(input.verify === 'checksum' && { hash: await chooseHash(source, warehouse) }),
  };
  const context = { source, warehouse, table, target, columns, planned, partitions, limit };
  const whole = await withIncrement(plan, input, context, tree);
  return { ...whole, warnings: [...whole.warnings, ...warningsOfTinyChunks(whole, input.chunkSize)] };
}

interface Described {
  readonly server: ServerFacts;
  readonly table: Table;
  /** Those that the input asks for. */
  readonly columns: readonly Column[];
  readonly types: SourceTypes;
  readonly tree: PartitionTree;
}

/** Reads what the source has of a table, and checks that the input fits it. */
async function describeTable(catalog: Catalog, input: ExtractTableInput): Promise<Described> {
  const { where } = input;
  if (where !== undefined) await assertExpression(where, 'where');
  await requireFreshReplica(catalog.session, input.maxReplicaLag);
  const server = await catalog.server();
  const table = await catalog.table(input.table);
  const columns = chooseColumns(await catalog.columns(table), table, input);
  requireColumnNames(table, columns.map(({ name }) => name)); // prettier-ignore
  if (where !== undefined) await checkWhere(catalog.session, table, where);
  return { server, table, columns, types: await catalog.types(table), tree: await catalog.tree(table) };
}

const mapColumns = (
  columns: readonly Column[],
  types: SourceTypes,
  available: WarehouseTypes,
): PlannedColumn[] =>
  columns.map((column) => ({
    name: column.name,
    sourceType: column.type,
    ...mapColumn(column, types, available),
  }));

/** Returns the limits and settings of the sessions that copy. */
function limitsOf({
  lockTimeout,
  statementTimeout,
  stallTimeout,
  idleTimeout,
  maxReplicaLag,
  tuning,
  session: own,
}: ExtractTableInput) {
  const session = chosenSettings(tuning, own);
  return {
    lockTimeout,
    statementTimeout: statementTimeout ?? null,
    stallTimeout,
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(maxReplicaLag !== undefined && { maxReplicaLag }),
    ...(session !== undefined && { session }),
  };
}

/** Adds what an incremental run needs besides, and narrows the chunks to what it reads. */
async function withIncrement(
  plan: ExtractionPlan,
  input: ExtractTableInput,
  other: Omit<IncrementalContext, 'input'>,
  tree: PartitionTree,
): Promise<ExtractionPlan> {
  if (input.incremental === undefined) return plan;
  const context = { ...other, input: { ...input, incremental: input.incremental } };
  const { plan: incremental, warnings } = await planIncrement(context);
  const whole = { ...plan, incremental, warnings: [...plan.warnings, ...warnings] };
  const { from, to } = incremental.range;
  if (from === null && to === null) return whole;
  // the keys of all rows are read from the partitions as they are planned
  const outside =
    incremental.keyChunks > 0 || !hasPartitions(tree)
      ? new Set<number>()
      : await findOutside(context.source, { ...context, tree }, incremental.cursor, incremental.range);
  const { chunkSize } = input;
  return { ...whole, ...(await chunkIncrement(context.source, whole, context, { chunkSize, outside })) };
}
