/** What runs can be searched by, where the namespace knows all of these: their types are Temporal's. */
export const searchAttributes = {
  /** `public.orders`; absent of runs of whole databases. */
  DatakitTable: 'KEYWORD',
  /** The name of the source. */
  DatakitSource: 'KEYWORD',
  /** `full`, `incremental` or `database`. */
  DatakitMode: 'KEYWORD',
  /** Rows that arrived, at the end of the run. */
  DatakitRows: 'INT',
  /** What the run is doing, as in its progress. */
  DatakitPhase: 'KEYWORD',
} as const;
