/**
 * The id of a part of a run that has a manifest of its own. Whether it is still under way is known from
 * the whole, which is a workflow: a part is none.
 */
export const partOf = (runId: string, part: string): string => `${runId}/${part}`;

/** The run that a run is a part of; itself, where it is none. */
export const wholeOf = (runId: string): string => runId.split('/', 1)[0] ?? runId;

/** What distinguishes a part; the whole id, where a run is none. */
export const lastPartOf = (runId: string): string => runId.slice(runId.indexOf('/') + 1);
