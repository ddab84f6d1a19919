/** The search attributes of runs, with Temporal's types; set only if the namespace knows all of them. */
export const searchAttributes = {
  /** `public.orders`; absent for runs of whole databases and for captures. */
  DatakitTable: 'KEYWORD',
  /** The name of the source. */
  DatakitSource: 'KEYWORD',
  /** `full`, `incremental`, `database` or `capture`. */
  DatakitMode: 'KEYWORD',
  /** Rows extracted; set at the end of the run, and not for captures. */
  DatakitRows: 'INT',
  /** The phase of the run or the capture, as in its progress or its status. */
  DatakitPhase: 'KEYWORD',
} as const;
