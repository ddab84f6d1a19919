import { z } from 'zod';
import { checkIncrementalInputs, incrementalInputs, type IncrementalOutcome } from './incremental.ts';
import { checkPartitionInputs, partitionInputs, type SkippedPartitions } from './partition-inputs.ts';
import { size } from './quantities.ts';
import { together } from './refuse.ts';
import { checkSourceInputs, sourceInputs } from './source-inputs.ts';
import { identifier, tableName } from './table-name.ts';
import { valueInputs } from './value-inputs.ts';

/** The default number of chunks copied at once: low, because the source is someone's live database. */
export const DEFAULT_PARALLELISM = 4;
export const MAX_PARALLELISM = 64;

export const parallelism = z.int().min(1).max(MAX_PARALLELISM);

/** The name of a source; it becomes part of the name of an environment variable. */
export const sourceName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected a source name such as "default" or "shop_eu", in lower case');

const fields = z.strictObject({
  table: tableName.describe(
    'The table to extract: "orders" (in the schema public), "sales.orders" or {"schema": "sales", "table": "orders"}.',
  ),
  source: sourceName
    .default('default')
    .describe(
      'Which source to read: "default" is SOURCE_DATABASE_URL, "shop_eu" is SOURCE_SHOP_EU_DATABASE_URL.',
    ),
  columns: z
    .array(identifier)
    .min(1, 'expected at least one column; leave it out to extract all of them')
    .optional()
    .describe('The columns to extract, in this order. Default: all columns.')
    .meta({ examples: [['id', 'status']] }),
  exclude: z
    .array(identifier)
    .min(1, 'expected at least one column; leave it out to exclude none')
    .optional()
    .describe('Columns to leave out.')
    .meta({ examples: [['notes']] }),
  where: z
    .string()
    .min(1, 'expected an expression; leave it out to extract all rows')
    .optional()
    .describe(
      'Extract only rows for which this SQL expression is true: "status = \'open\' AND total > 100".',
    ),
  target: identifier
    .optional()
    .describe(
      'The table in the schema bronze to write, without that schema: "orders". Default: br_<table> for the schema public, else br_<schema>__<table>.',
    ),
  chunkSize: size
    .optional()
    .describe(
      'Size of a chunk, the part of the table that is copied in one transaction: "64MB". Default: 16 to 256 MB, by the size of the table. A table can have up to 1,000,000 chunks; a warning tells of very many.',
    ),
  parallelism: parallelism.default(DEFAULT_PARALLELISM).describe('How many chunks to copy at once, 1 to 64.'),
  consistency: z
    .enum(['snapshot', 'none'])
    .default('snapshot')
    .describe(
      '"snapshot": all chunks read one snapshot of the source. "none": each activity reads a moment of its own, and no snapshot is held open.',
    ),
  ...sourceInputs,
  ...partitionInputs,
  ...valueInputs,
  ...incrementalInputs,
});

/** The input of the workflow `extractTable`. */
export const extractTableInput = fields.check(
  together((input, refuse) => {
    checkIncrementalInputs(input, refuse);
    checkPartitionInputs(input, refuse);
    checkSourceInputs(input, refuse);
  }),
);

export type ExtractTableInput = z.output<typeof extractTableInput>;

/** The input as written, before defaults and units are applied. */
export type ExtractTableRequest = z.input<typeof extractTableInput>;

/** An example to show when an input is refused. */
export const extractTableExample: ExtractTableRequest = { table: 'sales.orders', parallelism: 4 };

/** The result of the workflow `extractTable`. */
export interface ExtractTableResult {
  /** The source table, `sales.orders`. */
  readonly table: string;
  /** Where its rows are, `bronze.br_sales__orders`. */
  readonly target: string;
  readonly runId: string;
  /**
   * `superseded`: a run that began later was committed first, so this run's older rows were dropped.
   * `unchanged`: there was no partition to read, so bronze is as it was.
   */
  readonly outcome: 'committed' | 'superseded' | 'unchanged';
  readonly rows: number;
  /** Bytes of COPY data that passed through the worker. */
  readonly bytes: number;
  readonly chunks: number;
  /** Number of partitions read. */
  readonly partitions: number;
  /** Partitions left out; absent if all were read. */
  readonly skippedPartitions?: SkippedPartitions;
  /** From the start of the workflow to the commit, `12.3 s`. */
  readonly duration: string;
  /** How often the run restarted because its snapshot, plan or staging table was lost. */
  readonly restarts: number;
  /** Notes for readers of the rows, such as that row-level security may have hidden some. */
  readonly warnings: readonly string[];
  /** How the checkpoint moved; absent without `incremental`. */
  readonly incremental?: IncrementalOutcome;
}
