import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { PROGRESS_OBSERVED_SIGNAL, type Observed } from '../contract/observed.ts';
import { SNAPSHOT_EXPORTED_SIGNAL, type HeldSnapshot, type Snapshot } from '../contract/snapshot.ts';
import {
  ADD_TABLES_UPDATE,
  CAPTURE_STATUS_QUERY,
  REMOVE_TABLES_UPDATE,
  STREAM_PROGRESS_SIGNAL,
  type CaptureChangesRequest,
  type CaptureStatus,
  type StreamProgress,
} from '../contract/capture-changes.ts';
import {
  PAUSE_SIGNAL,
  PROGRESS_QUERY,
  RESUME_SIGNAL,
  RETRY_TABLE_UPDATE,
  SET_PARALLELISM_UPDATE,
  SKIP_TABLE_UPDATE,
  type DatabaseProgress,
  type Progress,
} from '../contract/progress.ts';

export const progressQuery = defineQuery<Progress>(PROGRESS_QUERY);
/** Takes the new width and returns the old one. */
export const setParallelismUpdate = defineUpdate<number, [number]>(SET_PARALLELISM_UPDATE);
export const SET_PARALLELISM_DESCRIPTION =
  'Changes how many chunks are copied at once, 1 to 64, and answers with the number before.';
export const PROGRESS_DESCRIPTION = 'What the run is doing and how far it has come.';
/** Sent by a parent to its child, which has nothing to check or answer. */
export const parallelismSignal = defineSignal<[number]>('parallelism');
/** Sent by a database run to a table: where the snapshot of all tables is available now. */
export const sharedSnapshotSignal = defineSignal<[Snapshot]>('sharedSnapshot');
export const pauseSignal = defineSignal(PAUSE_SIGNAL);
export const resumeSignal = defineSignal(RESUME_SIGNAL);
export const databaseProgressQuery = defineQuery<DatabaseProgress>(PROGRESS_QUERY);
/** Both take the name of a table and answer with what becomes of it. */
export const retryTableUpdate = defineUpdate<string, [string]>(RETRY_TABLE_UPDATE);
export const skipTableUpdate = defineUpdate<string, [string]>(SKIP_TABLE_UPDATE);
export const snapshotExportedSignal = defineSignal<[HeldSnapshot]>(SNAPSHOT_EXPORTED_SIGNAL);
export const progressObservedSignal = defineSignal<[Observed]>(PROGRESS_OBSERVED_SIGNAL);

export const captureStatusQuery = defineQuery<CaptureStatus>(CAPTURE_STATUS_QUERY);
/** Both take tables as the input does and answer with all tables of the capture. */
export const addTablesUpdate = defineUpdate<readonly string[], [CaptureChangesRequest['tables']]>(
  ADD_TABLES_UPDATE,
);
export const removeTablesUpdate = defineUpdate<readonly string[], [CaptureChangesRequest['tables']]>(
  REMOVE_TABLES_UPDATE,
);
export const streamProgressSignal = defineSignal<[StreamProgress]>(STREAM_PROGRESS_SIGNAL);
