import { isCancellation } from '@temporalio/workflow';
import type { Copied } from '../contract/chunks.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { TableName } from '../contract/table-name.ts';
import { BorrowedSnapshot } from './borrowed-snapshot.ts';
import { captureFanout, copyCapturedTable, type CaptureOfCopies } from './copy-captured-table.ts';
import { resizeFanout } from './copy-plan.ts';
import { canBeginAgain, isOfOneTable, isSnapshotLost, toldFailure, type ToldFailure } from './failure.ts';
import { hearParallelism } from './hear-parallelism.ts';
import { isHistoryLong } from './long-history.ts';
import { PauseGate } from './pause-gate.ts';

export interface CopyCapturedTablesRequest {
  readonly capture: CaptureOfCopies;
  readonly tables: readonly TableName[];
  readonly snapshot: Snapshot;
  readonly copiedAt?: string;
  readonly parallelism: number;
}

/** What became of a table: what readers of its copy should know, or why there is none. */
export interface CapturedTableOutcome {
  readonly table: TableName;
  readonly warnings: readonly string[];
  readonly failure?: ToldFailure;
}

export interface CopiedTables extends Copied {
  /** Of the tables that were tried, in order; the others are left to another child. */
  readonly outcomes: readonly CapturedTableOutcome[];
}

/**
 * Copies tables of a capture as a child workflow, as many as its history has room for, so that the history of the
 * capture does not grow with the number of its tables.
 */
export async function copyCapturedTables({
  capture,
  tables,
  snapshot,
  copiedAt,
  parallelism,
}: CopyCapturedTablesRequest): Promise<CopiedTables> {
  let [rows, bytes] = [0, 0];
  const onCopied = (copied: Copied) => {
    rows += copied.rows;
    bytes += copied.bytes;
  };
  const gate = new PauseGate();
  gate.listen();
  const fanout = captureFanout(parallelism, gate, onCopied);
  hearParallelism(async (width) => resizeFanout(fanout, width));
  const moment = { lender: new BorrowedSnapshot(snapshot), copiedAt };
  const outcomes: CapturedTableOutcome[] = [];
  for (const table of tables) {
    try {
      outcomes.push({ table, warnings: await copyCapturedTable(fanout, capture, table, moment) });
    } catch (error) {
      if (isCancellation(error) || isSnapshotLost(error)) throw error;
      outcomes.push({ table, warnings: [], failure: toldFailure(error) });
      if (!isOfOneTable(error) && !canBeginAgain(error)) break;
    }
    if (isHistoryLong()) break;
  }
  return { rows, bytes, outcomes };
}
