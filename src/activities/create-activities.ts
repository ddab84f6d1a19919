import type { Activities } from '../contract/activities.ts';
import { checkSource } from './check-source.ts';
import { commitBronze } from './commit-bronze.ts';
import { copyChunks } from './copy-chunks.ts';
import { copyTables } from './copy-tables.ts';
import type { Dependencies } from './dependencies.ts';
import { discardStaging } from './discard-staging.ts';
import { holdSnapshot } from './hold-snapshot.ts';
import { limitIncrements } from './limit-increments.ts';
import { planExtraction } from './plan-extraction.ts';
import { readMembers, resolveTables } from './resolve-tables.ts';
import { closeDatabaseRun, pauseCopies, steerTables, watchProgress } from './steer.ts';

type LastingActivities = Pick<Activities, 'holdSnapshot' | 'watchProgress'>;
type CopyActivities = Omit<Activities, keyof LastingActivities>;

/** The activities of the main task queue. */
export function createActivities(dependencies: Dependencies): CopyActivities {
  return {
    checkSource: async (input) => checkSource(dependencies, input),
    planExtraction: async (request) => planExtraction(dependencies, request),
    copyChunks: async (request) => copyChunks(dependencies, request),
    commitBronze: async (request) => commitBronze(dependencies, request),
    discardStaging: async (request) => discardStaging(dependencies, request),
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
 * The activities of the task queue for snapshots. They last as long as their runs, or wait, so they have
 * slots of their own: were they to share, enough runs at once would leave no slot to copy with.
 */
export function createLastingActivities(dependencies: Dependencies): LastingActivities {
  return {
    holdSnapshot: async (request) => holdSnapshot(dependencies, request),
    watchProgress: async (request) => watchProgress(dependencies, request),
  };
}
