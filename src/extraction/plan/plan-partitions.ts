import { chunkCount, type ExtractionPlan, type PlannedPartition } from '../../bronze/plan.ts';
import type { SourceTypes } from '../../bronze/schema/type-mapping.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatBytes, formatCount } from '../../contract/quantities.ts';
import { formatTableName } from '../../contract/table-name.ts';
import type { Catalog } from '../../postgres/catalog/catalog.ts';
import { hasTidRangeScan, type ServerFacts } from '../../postgres/catalog/server.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import type { Session } from '../../postgres/session.ts';
import { blocksPerChunk, chunksOf } from './chunk-ranges.ts';
import type { PartitionToRead } from '../partitions/choose-partitions.ts';
import { locksOfChunk, packSmall } from '../partitions/pack-partitions.ts';
import { chunksByKey } from './key-range.ts';
import { findKeyColumn, planKey, type KeyColumn } from './plan-key.ts';

export interface Chunking {
  readonly table: Table;
  readonly partitions: readonly PartitionToRead[];
  readonly types: SourceTypes;
  readonly server: ServerFacts;
  readonly input: Pick<ExtractTableInput, 'chunkBy' | 'chunkSize' | 'parallelism' | 'largeObjects'>;
}

export interface PlannedChunks {
  /** Bytes. */
  readonly size: number;
  readonly blocksPerChunk: number;
  readonly partitions: PlannedPartition[];
  readonly warnings: string[];
}

/**
 * Decides how each partition is cut: into ranges of blocks if possible, else by the key that the input names, else
 * not. Consecutive small partitions share a chunk.
 */
export async function planPartitions(catalog: Catalog, chunking: Chunking): Promise<PlannedChunks> {
  const { table, partitions, types, server, input } = chunking;
  const key =
    input.chunkBy === undefined
      ? undefined
      : findKeyColumn(input.chunkBy, await catalog.columns(table), types, table);
  const total = sumOf(partitions);
  const perChunk = blocksOfChunk(chunking, total);
  const planned: PlannedPartition[] = [];
  for (const partition of partitions) {
    const byBlocks = partition.hasBlocks && partition.mayReadCtid && hasTidRangeScan(server);
    planned.push(
      byBlocks || key === undefined
        ? inBlocks(partition, byBlocks ? chunksOf(partition.blocks, perChunk) : 1)
        : await inRanges(catalog.session, partition, key, input),
    );
  }
  requireFewChunks(planned);
  const facts = new Map(partitions.map((partition) => [partition.oid, partition]));
  const packed = packSmall(planned, {
    blocks: perChunk,
    locks: locksOfChunk(input.parallelism),
    locksOf: ({ oid }) => facts.get(oid)?.locks ?? 1,
    hasBlocks: ({ oid }) => facts.get(oid)?.hasBlocks === true,
  });
  const size = total.allBlocks * server.blockSize;
  return { size, blocksPerChunk: perChunk, partitions: packed, warnings: warningsOf(chunking, planned) };
}

/** Each chunk costs a ledger row and its share of a history; this is far more than any table needs. */
const MOST_CHUNKS = 1_000_000;

function requireFewChunks(partitions: PlannedPartition[]): void {
  const chunks = chunkCount({ partitions });
  if (chunks <= MOST_CHUNKS) return;
  throw new DatakitError(
    'InvalidInput',
    `"chunkSize" cuts the table into ${formatCount(chunks)} chunks, and at most ${formatCount(MOST_CHUNKS)} are possible: choose a larger one`,
  );
}

/** Bytes. Copying fewer takes less time than the transaction around them. */
const LEAST_WORTH = 1024 * 1024;
/** So many chunks take a moment only, whatever their size. */
const FEW_CHUNKS = 1_000;

/** Warns of chunks that are many because they are tiny: kB is easily written where MB is meant. */
export function warningsOfTinyChunks(
  plan: Pick<ExtractionPlan, 'partitions' | 'incremental'>,
  chunkSize = LEAST_WORTH,
): string[] {
  const chunks = chunkCount(plan);
  if (chunkSize >= LEAST_WORTH || chunks < FEW_CHUNKS) return [];
  return [
    `"chunkSize" of ${formatBytes(chunkSize)} made ${formatCount(chunks)} chunks, each with a transaction of its own: from "1MB" on, a copy is much faster.`,
  ];
}

/** With large objects a chunk is a single block, or more if there would be more chunks than this. */
const MOST_SMALL_CHUNKS = 20_000;

/** With large objects, aims at about 100 rows per chunk: a block has that many if they hold little else. */
function blocksOfChunk({ server, input }: Chunking, { blocks: totalBlocks, allBlocks }: Total): number {
  const { chunkSize, parallelism, largeObjects } = input;
  if (largeObjects !== undefined && chunkSize === undefined)
    return Math.max(1, Math.ceil(totalBlocks / MOST_SMALL_CHUNKS));
  // including TOAST, which makes up most of some tables
  const blockSize = server.blockSize * (totalBlocks === 0 ? 1 : allBlocks / totalBlocks);
  return blocksPerChunk({ totalBlocks, blockSize, parallelism, chunkSize });
}

interface Total {
  readonly blocks: number;
  /** Including TOAST. */
  readonly allBlocks: number;
}

function sumOf(partitions: Chunking['partitions']): Total {
  const blocks = partitions.reduce((sum, partition) => sum + partition.blocks, 0);
  return { blocks, allBlocks: partitions.reduce((sum, { toastBlocks }) => sum + toastBlocks, blocks) };
}

function inBlocks(partition: PartitionToRead, chunks: number): PlannedPartition {
  const { schema, name, oid, fileNode, columns, rowSecurityActive, blocks, filter, evidence } = partition;
  return {
    schema,
    name,
    oid,
    fileNode,
    columns,
    blocks,
    chunks,
    ...(rowSecurityActive && { rowSecurity: true }),
    ...(filter !== undefined && { filter }),
    ...(evidence !== undefined && { evidence }),
  };
}

async function inRanges(
  source: Session,
  partition: PartitionToRead,
  column: KeyColumn,
  { chunkSize, parallelism }: Chunking['input'],
): Promise<PlannedPartition> {
  const key = await planKey(source, partition, column, { chunkSize, parallelism });
  return { ...inBlocks(partition, chunksByKey(key)), key };
}

function warningsOf({ partitions, input }: Chunking, planned: readonly PlannedPartition[]): string[] {
  const cut = planned.filter(({ key }) => key !== undefined);
  if (input.chunkBy !== undefined && cut.length === 0) {
    return [`"chunkBy" was not used: tables are cut by their blocks, which needs no index and no order.`];
  }
  const foreign = new Set(partitions.filter(({ isForeign }) => isForeign).map(({ oid }) => oid));
  const apart = cut.filter(({ oid }) => foreign.has(oid)).map(formatTableName);
  if (apart.length === 0) return [];
  return [
    `The chunks of ${listed(apart, 3)} were read at different moments: a snapshot of the source does not reach the server behind a foreign table. Without "chunkBy" it is read at one.`,
  ];
}
