import type { Activities } from '../contract/activities.ts';
import { checkSource } from './check-source.ts';
import { commitBronze } from './commit-bronze.ts';
import { copyChunks } from './copy-chunks.ts';
import type { Dependencies } from './dependencies.ts';
import { discardStaging } from './discard-staging.ts';
import { holdSnapshot } from './hold-snapshot.ts';
import { planExtraction } from './plan-extraction.ts';

type CopyActivities = Omit<Activities, 'holdSnapshot'>;

/** The activities of the main task queue. */
export function createActivities(dependencies: Dependencies): CopyActivities {
  return {
    checkSource: async (input) => checkSource(dependencies, input),
    planExtraction: async (request) => planExtraction(dependencies, request),
    copyChunks: async (request) => copyChunks(dependencies, request),
    commitBronze: async (request) => commitBronze(dependencies, request),
    discardStaging: async (request) => discardStaging(dependencies, request),
  };
}

/**
 * The activities of the task queue for snapshots. They last as long as their runs, so they have
 * slots of their own: were they to share, enough runs at once would leave no slot to copy with.
 */
export function createSnapshotActivities(dependencies: Dependencies): Pick<Activities, 'holdSnapshot'> {
  return { holdSnapshot: async (request) => holdSnapshot(dependencies, request) };
}
