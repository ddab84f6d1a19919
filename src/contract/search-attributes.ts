/** The search attributes of runs, with Temporal's types; set only if the namespace knows all of them. */
export const searchAttributes = {
  /** `public.orders`; absent for runs of whole databases. */
  DatakitTable: 'KEYWORD',
  /** The name of the source. */
  DatakitSource: 'KEYWORD',
  /** `full`, `incremental` or `database`. */
  DatakitMode: 'KEYWORD',
  /** Rows extracted; set at the end of the run. */
  DatakitRows: 'INT',
  /** The phase of the run, as in its progress. */
  DatakitPhase: 'KEYWORD',
} as const;
