import { z } from 'zod';
import type { Copied } from './chunks.ts';

export interface WatchRequest {
  /** The run of `extractTable`, or of `extractDatabase` for all tables that it extracts. */
  readonly runId: string;
  /** Whether to report the partitions of the one table as well. */
  readonly partitions: boolean;
  /** Milliseconds from one look to the next. */
  readonly pace: number;
}

/** Progress of a run's unfinished tables, by the ledger. */
export interface Observed {
  readonly tables: readonly ObservedTable[];
  /** For a table that is extracted alone and has several. */
  readonly partitions?: CopiedPartitions;
  /** Totals of the tables that a run of `extractDatabase` has finished. */
  readonly finished: Copied;
}

export interface ObservedTable extends Copied {
  readonly planId: string;
  readonly table: string;
  readonly chunksDone: number;
  readonly chunks: number;
}

/** The ledger's view of a plan's partitions, kept small because it is reported every few seconds. */
export interface CopiedPartitions {
  /** For each label of the plan. */
  readonly chunksDone: readonly number[];
  /** At most 20: those half done first, then those with the most rows. */
  readonly foremost: readonly CopiedPartition[];
}

export interface CopiedPartition extends Copied {
  /** Its index among the labels of the plan. */
  readonly partition: number;
}

const object = z.looseObject({});
const report = z.looseObject({
  tables: z.array(object),
  partitions: z.looseObject({ chunksDone: z.array(z.number()), foremost: z.array(object) }).optional(),
  finished: object,
});

/** Returns whether something that was signalled is a report. */
export const isObserved = (sent: unknown): sent is Observed => report.safeParse(sent).success;

/** The signal by which `watchProgress` reports what it has {@link Observed}. */
export const PROGRESS_OBSERVED_SIGNAL = 'progressObserved';
