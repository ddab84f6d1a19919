import { z } from 'zod';
import { DEFAULT_PARALLELISM, parallelism, sourceName } from './extract-table.ts';
import { durationOr, size, stallTimeout, timeout } from './quantities.ts';
import { schemasAndTables } from './schema-or-table.ts';
import { identifier } from './table-name.ts';

const slotName = z
  .string()
  .regex(
    /^[a-z0-9_]{1,63}$/,
    'expected a name of lower case letters, digits and underscores, 63 at the most',
  );

const DEFAULT_SLOT = 'datakit_slot';
const DEFAULT_PUBLICATION = 'datakit_publication';

const slot = slotName
  .default(DEFAULT_SLOT)
  .describe('The replication slot on the source. It identifies the capture.');
const publication = identifier
  .default(DEFAULT_PUBLICATION)
  .describe('The publication on the source. Created if it does not exist; an existing one is used as it is.');
const source = sourceName
  .default('default')
  .describe('The source: "default" is SOURCE_DATABASE_URL, "shop_eu" is SOURCE_SHOP_EU_DATABASE_URL.');

const expectedUntil =
  'expected "caught-up", or a duration such as "10 minutes"; leave it out to run indefinitely';

const captureFields = z.strictObject({
  tables: schemasAndTables.describe(
    'The tables to capture: "orders", "sales.orders", or "sales.*" for all tables that the schema has now.',
  ),
  slot,
  publication,
  source,
  initialCopy: z
    .boolean()
    .default(true)
    .describe('Copy the tables first, as of the moment when the slot is created.'),
  until: z
    .union([z.literal('caught-up'), durationOr(expectedUntil)], { error: expectedUntil })
    .optional()
    .describe(
      'When to end: "caught-up", when everything that was committed before the start is written, or after a time: "10 minutes". Default: never.',
    ),
  mirror: z
    .boolean()
    .default(false)
    .describe('Also apply the changes to the copies, so that bronze.br_<table> stays equal to the source.'),
  deletes: z
    .enum(['hard', 'soft'])
    .default('hard')
    .describe('With "mirror": "hard" removes deleted rows, "soft" keeps them and sets _bronze_deleted_at.'),
  setReplicaIdentity: z
    .literal('full')
    .optional()
    .describe(
      '"full" sets REPLICA IDENTITY FULL on tables whose rows nothing identifies, so that the source logs whole rows, also on partitions. A partitioned table without a primary key is refused even then. Default: all such tables are refused.',
    ),
  failover: z
    .boolean()
    .default(false)
    .describe(
      'Let standbys synchronize the slot, so that the capture goes on where one of them takes over. Needs PostgreSQL 17 or later, and standbys that are set up for it. With false, the slot stays as it is.',
    ),
  maxSlotLag: size
    .optional()
    .describe('How much write-ahead log the slot may hold back on the source: "10GB". Default: no limit.'),
  onSlotLag: z
    .enum(['warn', 'pause', 'drop'])
    .default('warn')
    .describe(
      'What to do beyond "maxSlotLag": "warn", "pause" (warn, and start no chunk of an added table while it lasts) or "drop" (end the capture and drop the slot).',
    ),
  heartbeat: timeout
    .prefault('10 seconds')
    .describe(
      'How often a small message is written to the write-ahead log of the source to measure the lag: "10 seconds", once a second at the most.',
    ),
  stallTimeout: stallTimeout
    .prefault('5 minutes')
    .describe(
      'How long a connected stream may make no progress before it is restarted: "5 minutes", at least "1 second".',
    ),
  parallelism: parallelism
    .default(DEFAULT_PARALLELISM)
    .describe('How many chunks of a table, or packs of small tables, are copied at once: 1 to 64.'),
});

/** The input of the workflow `captureChanges`. */
export const captureChangesInput = captureFields.refine(({ mirror, initialCopy }) => !mirror || initialCopy, {
  path: ['mirror'],
  error: 'expected false where "initialCopy" is: a copy that was never made cannot be kept',
});

export type CaptureChangesInput = z.output<typeof captureChangesInput>;

/** The input as written, before defaults and units are applied. */
export type CaptureChangesRequest = z.input<typeof captureChangesInput>;

/** An example to show when an input is refused. */
export const captureChangesExample: CaptureChangesRequest = { tables: ['public.*'], slot: DEFAULT_SLOT };

/** The input of the workflow `dropCapture`. */
export const dropCaptureInput = z.strictObject({
  slot,
  publication: publication
    .removeDefault()
    .optional()
    .describe(
      'The publication to drop if the warehouse no longer knows the capture. It is dropped only if captureChanges created it.',
    ),
  source,
  sourceGone: z
    .boolean()
    .optional()
    .describe(
      'True if the source no longer exists: it is not asked, and only the bookkeeping in the warehouse is dropped.',
    ),
});

export type DropCaptureInput = z.output<typeof dropCaptureInput>;
export type DropCaptureRequest = z.input<typeof dropCaptureInput>;
export const dropCaptureExample: DropCaptureRequest = { slot: DEFAULT_SLOT };

/** The result of the workflow `dropCapture`: what existed and was dropped. */
export interface DropCaptureResult {
  readonly slot: boolean;
  readonly publication: boolean;
  readonly bookkeeping: boolean;
}

export type CapturePhase =
  'preparing' | 'copying' | 'streaming' | 'waiting' | 'paused' | 'done' | 'failed' | 'cancelled';

/** How far a stream has come. */
export interface StreamProgress {
  /** Everything that commits before it is in the warehouse: `16/B374D848`. */
  readonly position: string;
  /** Commit time of the last transaction written, by the source's clock, ISO 8601; absent until there is one. */
  readonly committedAt?: string;
  /** In a status, written by the workflow; from a stream, written by the capture in total. */
  readonly transactions: number;
  readonly changes: number;
  /** Bytes of write-ahead log between the position and the end of the log. */
  readonly lagBytes: number;
  readonly lagSeconds: number;
  readonly changesPerSecond: number;
  /** Bytes of write-ahead log that the slot holds back on the source. */
  readonly slotLagBytes: number;
}

const streamProgress = z.looseObject({
  position: z.string(),
  transactions: z.number(),
  changes: z.number(),
  slotLagBytes: z.number(),
});

/** Returns whether something that was signalled is the progress of a stream. */
export const isStreamProgress = (sent: unknown): sent is StreamProgress =>
  streamProgress.safeParse(sent).success;

/** Null until it is measured: by the first progress of a stream, or by a look at the slot. */
type Measured = 'position' | 'lagBytes' | 'lagSeconds' | 'slotLagBytes';

/** The answer to the query `status`. */
export interface CaptureStatus
  extends Omit<StreamProgress, Measured>, Nullable<Pick<StreamProgress, Measured>> {
  readonly slot: string;
  readonly phase: CapturePhase;
  readonly tables: readonly string[];
  /** Tables whose copy is not finished. */
  readonly copying: readonly string[];
  /** Tables whose copy failed, and is not tried again until somebody asks for it. */
  readonly givenUp: readonly string[];
  /** Rows of finished chunks of copies. */
  readonly copiedRows: number;
  /** Why the stream is not running although it should be. */
  readonly trouble?: string;
  readonly warnings: readonly string[];
}

type Nullable<Values> = { readonly [Key in keyof Values]: Values[Key] | null };

/** The result of the workflow `captureChanges`. */
export interface CaptureChangesResult {
  readonly slot: string;
  readonly publication: string;
  readonly outcome: 'caught up' | 'time is up';
  /** Everything that commits before it is in the warehouse. */
  readonly position: string;
  /** Written by this workflow. */
  readonly transactions: number;
  readonly changes: number;
  readonly tables: readonly string[];
  /** Rows that came by copying tables rather than from the log. */
  readonly copiedRows: number;
  readonly warnings: readonly string[];
}

export const CAPTURE_STATUS_QUERY = 'status';
export const ADD_TABLES_UPDATE = 'addTables';
export const REMOVE_TABLES_UPDATE = 'removeTables';
/** The signal by which a stream reports its progress to its workflow. */
export const STREAM_PROGRESS_SIGNAL = 'streamProgress';
