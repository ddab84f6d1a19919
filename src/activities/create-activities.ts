import type { Activities } from '../contract/activities.ts';
import type { CaptureActivities } from '../contract/capture-activities.ts';
import { checkSource } from './check-source.ts';
import { commitBronze } from './commit-bronze.ts';
import { copyChunks } from './copy-chunks.ts';
import { copySmallTables } from './copy-small-tables.ts';
import { copyTables } from './copy-tables.ts';
import type { Dependencies } from './dependencies.ts';
import { discardStaging } from './discard-staging.ts';
import { finishCopy } from './finish-copy.ts';
import { holdSlot } from './hold-slot.ts';
import { holdSnapshot } from './hold-snapshot.ts';
import { limitIncrements } from './limit-increments.ts';
import { maintainBronze } from './maintain-bronze.ts';
import { planCopy } from './plan-copy.ts';
import { planExtraction } from './plan-extraction.ts';
import { beginStreaming, changeTables, dropCapture, prepareCapture } from './prepare-capture.ts';
import { readMembers, resolveTables } from './resolve-tables.ts';
import { closeDatabaseRun, pauseCopies, steerTables } from './steer.ts';
import { streamChanges } from './stream-changes.ts';
import { watchProgress } from './watch-progress.ts';
import { checkSlot, dropSlot } from './watch-slot.ts';

type LastingActivities = Pick<Activities, 'holdSnapshot' | 'watchProgress'> &
  Pick<CaptureActivities, 'holdSlot'>;
type StreamActivities = Pick<CaptureActivities, 'streamChanges'>;
type CopyActivities = Omit<Activities & CaptureActivities, keyof (LastingActivities & StreamActivities)>;

/** The activities of the main task queue. */
export function createActivities(dependencies: Dependencies): CopyActivities {
  return {
    checkSource: async (input) => checkSource(dependencies, input),
    maintainBronze: async (input) => maintainBronze(dependencies, input),
    planExtraction: async (request) => planExtraction(dependencies, request),
    copyChunks: async (request) => copyChunks(dependencies, request),
    commitBronze: async (request) => commitBronze(dependencies, request),
    discardStaging: async (request) => discardStaging(dependencies, request),
    prepareCapture: async (request) => prepareCapture(dependencies, request),
    copySmallTables: async (request) => copySmallTables(dependencies, request),
    planCopy: async (request) => planCopy(dependencies, request),
    finishCopy: async (request) => finishCopy(dependencies, request),
    beginStreaming: async (request) => beginStreaming(dependencies, request),
    changeTables: async (request) => changeTables(dependencies, request),
    checkSlot: async (request) => checkSlot(dependencies, request),
    dropSlot: async (request) => dropSlot(dependencies, request),
    dropCapture: async (request) => dropCapture(dependencies, request),
    pauseCopies: async (request) => pauseCopies(dependencies, request),
    resolveTables: async (request) => resolveTables(dependencies, request),
    readMembers: async (request) => readMembers(dependencies, request),
    limitIncrements: async (request) => limitIncrements(dependencies, request),
    copyTables: async (request) => copyTables(dependencies, request),
    steerTables: async (request) => steerTables(dependencies, request),
    closeDatabaseRun: async (request) => closeDatabaseRun(dependencies, request),
  };
}

/**
 * The activities of the task queue for snapshots. They last as long as their runs, or wait, so they have slots of
 * their own: if they shared, enough concurrent runs would leave no slot for copying.
 */
export function createLastingActivities(dependencies: Dependencies): LastingActivities {
  return {
    holdSnapshot: async (request) => holdSnapshot(dependencies, request),
    holdSlot: async (request) => holdSlot(dependencies, request),
    watchProgress: async (request) => watchProgress(dependencies, request),
  };
}

/** The activities of the task queue for streams, which run all the time and would use up shared slots. */
export function createStreamActivities(dependencies: Dependencies): StreamActivities {
  return { streamChanges: async (request) => streamChanges(dependencies, request) };
}
