import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { SNAPSHOT_EXPORTED_SIGNAL, type HeldSnapshot } from '../contract/activities.ts';
import {
  ADD_TABLES_UPDATE,
  CAPTURE_STATUS_QUERY,
  PAUSE_SIGNAL,
  REMOVE_TABLES_UPDATE,
  RESUME_SIGNAL,
  STREAM_PROGRESS_SIGNAL,
  type CaptureChangesRequest,
  type CaptureStatus,
  type StreamProgress,
} from '../contract/capture-changes.ts';
import { PROGRESS_QUERY, SET_PARALLELISM_UPDATE, type Progress } from '../contract/progress.ts';

export const progressQuery = defineQuery<Progress>(PROGRESS_QUERY);
/** Takes the new width and answers with the old one. */
export const setParallelismUpdate = defineUpdate<number, [number]>(SET_PARALLELISM_UPDATE);
/** The same from a parent to its child, which has nothing to check or answer. */
export const parallelismSignal = defineSignal<[number]>('parallelism');
export const snapshotExportedSignal = defineSignal<[HeldSnapshot]>(SNAPSHOT_EXPORTED_SIGNAL);

export const captureStatusQuery = defineQuery<CaptureStatus>(CAPTURE_STATUS_QUERY);
/** Take tables as the input does, and answer with all tables of the capture. */
export const addTablesUpdate = defineUpdate<readonly string[], [CaptureChangesRequest['tables']]>(
  ADD_TABLES_UPDATE,
);
export const removeTablesUpdate = defineUpdate<readonly string[], [CaptureChangesRequest['tables']]>(
  REMOVE_TABLES_UPDATE,
);
export const pauseSignal = defineSignal(PAUSE_SIGNAL);
export const resumeSignal = defineSignal(RESUME_SIGNAL);
export const streamProgressSignal = defineSignal<[StreamProgress]>(STREAM_PROGRESS_SIGNAL);
