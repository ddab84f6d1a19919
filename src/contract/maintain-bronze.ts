import { z } from 'zod';

const MOST_NAMESPACES = 100;

/** The input of the workflow `maintainBronze`. */
export const maintainBronzeInput = z.strictObject({
  dryRun: z.boolean().default(false).describe('Only report what would be dropped.'),
  lostNamespaces: z
    .array(z.string().min(1))
    .max(MOST_NAMESPACES, `expected at most ${MOST_NAMESPACES} namespaces`)
    .default([])
    .describe(
      'Temporal namespaces that no longer exist: their unfinished runs are taken to have ended. Runs of other namespaces are left alone.',
    ),
});

export type MaintainBronzeInput = z.output<typeof maintainBronzeInput>;
export type MaintainBronzeRequest = z.input<typeof maintainBronzeInput>;

export const maintainBronzeExample: MaintainBronzeRequest = { dryRun: true };

/** What the workflow `maintainBronze` returns: what was dropped, or with `dryRun` would be. */
export interface MaintainBronzeResult {
  readonly dryRun: boolean;
  /** Runs whose workflows are over, or are not there any more, and that had not been able to say so. */
  readonly runs: Found<{ readonly workflowId: string; readonly runId: string }>;
  /** Staging tables, of those runs and of nobody. */
  readonly stagingTables: Found<string>;
  /** Rows of ledgers of loads that neither run nor are what a bronze table shows. */
  readonly ledgerRows: number;
  /** Runs that are under way, or of which Temporal did not say whether they are: nothing of them was touched. */
  readonly leftAlone: number;
  /** What is locked by others, and stays until the next time. */
  readonly locked: Found<string>;
}

/** How many, and the first of them by name. */
export interface Found<T> {
  readonly count: number;
  readonly first: readonly T[];
}

/** A payload has its bounds. */
const MOST_NAMED = 100;

export const foundOf = <T>(all: readonly T[]): Found<T> => ({
  count: all.length,
  first: all.slice(0, MOST_NAMED),
});
