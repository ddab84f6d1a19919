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

/** The result of the workflow `maintainBronze`: what was dropped, or would be with `dryRun`. */
export interface MaintainBronzeResult {
  readonly dryRun: boolean;
  /** Runs whose workflows have ended or no longer exist, and that could not record their end. */
  readonly runs: Found<{ readonly workflowId: string; readonly runId: string }>;
  /** Staging tables of those runs, and ones that belong to no run. */
  readonly stagingTables: Found<string>;
  /** Ledger rows of loads that are neither running nor shown by a bronze table. */
  readonly ledgerRows: number;
  /** Runs that are under way, or whose state Temporal did not tell; left untouched. */
  readonly leftAlone: number;
  /** Tables locked by others; they stay until the next run. */
  readonly locked: Found<string>;
}

/** A count, and the first of the items. */
export interface Found<T> {
  readonly count: number;
  readonly first: readonly T[];
}

/** Payloads are limited in size. */
const MOST_NAMED = 100;

export const foundOf = <T>(all: readonly T[]): Found<T> => ({
  count: all.length,
  first: all.slice(0, MOST_NAMED),
});
