import { createHash } from 'node:crypto';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { MAX_IDENTIFIER_BYTES, type TableName } from '../contract/table-name.ts';

/** The schema that people read. */
export const BRONZE = 'bronze';
/** The schema that runs load into, and nobody reads: empty when nothing runs. */
export const STAGING = 'bronze_staging';
/** The schema of the partitions that store the rows of bronze tables. */
export const STORAGE = 'bronze_data';

/** The schema whose tables need no prefix. */
const DEFAULT_SCHEMA = 'public';

/** `br_orders` for `public.orders`, `br_sales__orders` for `sales.orders`. */
export function defaultTarget({ schema, name }: TableName): string {
  return fitted(schema === DEFAULT_SCHEMA ? `br_${name}` : `br_${schema}__${name}`);
}

/** Returns the source table and target that an input asks for, before any check. */
export const feedOf = ({ source, table, target }: ExtractTableInput) => ({
  source,
  table,
  target: target ?? defaultTarget(table),
});

/** Names the table that takes, in parts, large objects that are too large for a column. */
export const companionTarget = (target: string): string => fitted(`${target}__lo`);

/** Names the partition that stores a bronze table's rows: one name per load, so that old and new can coexist. */
export const storageName = (target: string, planId: string): string => fitted(`${target}_${planId}`);

/** Names the index by which a capture finds the rows of a partition, as CAPTURE_INDEX expects it. */
export const captureIndexName = ({ name }: TableName): string => fitted(`capture_key_of_${name}`);

/** Names a mirrored column that the source dropped, once another column takes its name. */
export const droppedColumn = (name: string, number: number): string => fitted(`${name}_dropped_${number}`);

/** Shortens names over PostgreSQL's limit to their beginning and a digest of the whole, so that no two collide. */
function fitted(name: string): string {
  if (Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 10);
  let beginning = name;
  while (Buffer.byteLength(beginning) > MAX_IDENTIFIER_BYTES - digest.length - 1) {
    beginning = Array.from(beginning).slice(0, -1).join('');
  }
  return `${beginning}_${digest}`;
}

/** This project's own tables in the schema bronze, which no run may write to. */
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

/** The column that says which partition a row came from: the only metadata column that varies within a run. */
export const PARTITION = '_bronze_partition';

/** The setting that holds its value while rows of a partition are loaded; `bronze.partition_of_copy()` reads it. */
export const PARTITION_SETTING = 'datakit.partition';

/** The column that says when a row was loaded: it orders the versions of a row. */
export const LOADED_AT = '_bronze_loaded_at';

/** The column that marks rows whose key the source no longer has. */
export const DELETED_AT = { name: '_bronze_deleted_at', type: 'timestamp with time zone' } as const;

/** Columns that runs of any kind add after the data: no source column may have one of these names. */
export const metadataColumnNames = [
  LOADED_AT,
  '_bronze_source',
  '_bronze_schema',
  '_bronze_table',
  '_bronze_run_id',
  '_bronze_extraction_type',
  '_bronze_checkpoint',
  PARTITION,
  '_bronze_parent_table',
  DELETED_AT.name,
] as const;

export const isMetadata = (column: string): boolean =>
  (metadataColumnNames as readonly string[]).includes(column);

/** A column with one value for all rows of a run; stored once, in the catalog, if the whole table is replaced. */
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
  /** Present if the table has partitions. */
  readonly partitioned?: true | undefined;
  /** Absent for a full extraction without a cursor. */
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
    { name: LOADED_AT, type: 'timestamp with time zone', value: loadedAt },
    { name: '_bronze_source', type: 'text', value: sourceUri },
    { name: '_bronze_schema', type: 'text', value: table.schema },
    { name: '_bronze_table', type: 'text', value: table.name },
    { name: '_bronze_run_id', type: 'text', value: runId },
    { name: '_bronze_extraction_type', type: 'text', value: incremental?.extraction ?? 'full' },
    ...(partitioned === undefined
      ? []
      : [{ name: '_bronze_parent_table', type: 'text', value: table.name } as const]),
    // the checkpoint that the run continued from
    ...(incremental === undefined
      ? []
      : [{ name: '_bronze_checkpoint', type: 'text', value: incremental.checkpoint } as const]),
  ];
}
