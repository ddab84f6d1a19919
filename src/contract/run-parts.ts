/**
 * Builds the id of a part of a run that has its own manifest. Only the whole run is a workflow, so only the
 * whole tells whether the part is still under way.
 */
export const partOf = (runId: string, part: string): string => `${runId}/${part}`;

/** Returns the id of the run that a part belongs to; the id itself if it is not a part. */
export const wholeOf = (runId: string): string => runId.split('/', 1)[0] ?? runId;

/** Returns what distinguishes a part; the whole id if it is not a part. */
export const lastPartOf = (runId: string): string => runId.slice(runId.indexOf('/') + 1);
