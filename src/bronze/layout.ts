import { createHash } from 'node:crypto';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { MAX_IDENTIFIER_BYTES, type TableName } from '../contract/table-name.ts';

/** Where people read. */
export const BRONZE = 'bronze';
/** Where runs load, and nobody reads: empty when nothing runs. */
export const STAGING = 'bronze_staging';
/** Where the rows of bronze tables are stored: the partition under each. */
export const STORAGE = 'bronze_data';

/** The schema whose tables need no prefix. */
const DEFAULT_SCHEMA = 'public';

/** `br_orders` for `public.orders`, `br_sales__orders` for `sales.orders`. */
export function defaultTarget({ schema, name }: TableName): string {
  return fitted(schema === DEFAULT_SCHEMA ? `br_${name}` : `br_${schema}__${name}`);
}

/** From where to where an input means to go, before anybody has looked whether that can be. */
export const feedOf = ({ source, table, target }: ExtractTableInput) => ({
  source,
  table,
  target: target ?? defaultTarget(table),
});

/** Where the parts of large objects land that are too large for a column. */
export const companionTarget = (target: string): string => fitted(`${target}__lo`);

/** The partition that stores the rows of a bronze table: one name a load, so that old and new can stand side by side. */
export const storageName = (target: string, planId: string): string => fitted(`${target}_${planId}`);

/** What a column of a mirrored copy is called that the source dropped, once another has its name. */
export const droppedColumn = (name: string, number: number): string => fitted(`${name}_dropped_${number}`);

/** Names over PostgreSQL's limit keep their beginning and end in a digest of the whole, so that no two fall together. */
function fitted(name: string): string {
  if (Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 10);
  let beginning = name;
  while (Buffer.byteLength(beginning) > MAX_IDENTIFIER_BYTES - digest.length - 1) {
    beginning = Array.from(beginning).slice(0, -1).join('');
  }
  return `${beginning}_${digest}`;
}

/** Tables of this project in the schema bronze, which no run may write. */
export const bookkeepingTables = [
  'extraction_attempts',
  'extraction_checkpoints',
  'extraction_chunks',
  'extraction_database_runs',
  'extraction_members',
  'extraction_partitions',
  'extraction_plans',
  'extraction_runs',
  'extraction_targets',
  'datakit_migrations',
  'cdc_changes',
  'cdc_positions',
  'cdc_tables',
] as const;

/** Which partition a row came from: the one column of metadata that is not the same for all rows of a run. */
export const PARTITION = '_bronze_partition';

/** The setting that has its value while rows of a partition arrive. */
export const PARTITION_SETTING = 'datakit.partition';

/** Columns that runs add after the data, whatever the kind of run: no source column may be called so. */
export const metadataColumnNames = [
  '_bronze_loaded_at',
  '_bronze_source',
  '_bronze_schema',
  '_bronze_table',
  '_bronze_run_id',
  '_bronze_extraction_type',
  '_bronze_checkpoint',
  '_bronze_partition',
  '_bronze_parent_table',
  '_bronze_deleted_at',
] as const;

/** A column whose value is the same for every row of a run, and so is stored once, in the catalog. */
export interface MetadataColumn {
  readonly name: (typeof metadataColumnNames)[number];
  readonly type: 'text' | 'timestamp with time zone';
  readonly value: string | null;
}

export interface MetadataOfRun {
  readonly loadedAt: string;
  /** `postgresql://host/database`, without credentials. */
  readonly sourceUri: string;
  readonly table: TableName;
  readonly runId: string;
  /** Present where the table has partitions. */
  readonly partitioned?: true | undefined;
  /** Absent: a full extraction, without a cursor. */
  readonly incremental?:
    { readonly extraction: 'full' | 'incremental'; readonly checkpoint: string | null } | undefined;
}

export function metadataColumns({
  loadedAt,
  sourceUri,
  table,
  runId,
  partitioned,
  incremental,
}: MetadataOfRun): MetadataColumn[] {
  return [
    { name: '_bronze_loaded_at', type: 'timestamp with time zone', value: loadedAt },
    { name: '_bronze_source', type: 'text', value: sourceUri },
    { name: '_bronze_schema', type: 'text', value: table.schema },
    { name: '_bronze_table', type: 'text', value: table.name },
    { name: '_bronze_run_id', type: 'text', value: runId },
    { name: '_bronze_extraction_type', type: 'text', value: incremental?.extraction ?? 'full' },
    ...(partitioned === undefined
      ? []
      : [{ name: '_bronze_parent_table', type: 'text', value: table.name } as const]),
    // the checkpoint that the run went on from
    ...(incremental === undefined
      ? []
      : [{ name: '_bronze_checkpoint', type: 'text', value: incremental.checkpoint } as const]),
  ];
}
