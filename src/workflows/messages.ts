import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { SNAPSHOT_EXPORTED_SIGNAL, type HeldSnapshot } from '../contract/activities.ts';
import { PROGRESS_QUERY, SET_PARALLELISM_UPDATE, type Progress } from '../contract/progress.ts';

export const progressQuery = defineQuery<Progress>(PROGRESS_QUERY);
/** Takes the new width and answers with the old one. */
export const setParallelismUpdate = defineUpdate<number, [number]>(SET_PARALLELISM_UPDATE);
/** The same from a parent to its child, which has nothing to check or answer. */
export const parallelismSignal = defineSignal<[number]>('parallelism');
export const snapshotExportedSignal = defineSignal<[HeldSnapshot]>(SNAPSHOT_EXPORTED_SIGNAL);
