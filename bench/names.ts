/** Benchmarks by name: what they are about. Their results are tables, and kept. */
export const benchmarkNames = {
  copy: 'one table of 5,000,000 rows, and a small one, against psql | psql',
  peers: 'one table, by this project and by every peer',
  types: 'values of difficult types: what each of them keeps',
  readers: 'what readers see during a replace and after a SIGKILL',
  shapes: 'tables of several shapes, by the quicker peers',
  partition: 'one of a hundred partitions replaced',
  scaling: 'more copies at once, more workers',
  growth: 'once, three times and ten times the rows',
  increments: 'a hundredth of a table changed, caught up with',
  cdc: 'changes: against pg_recvlogical, and their lag',
  limits: 'reading alone, writing alone, and both',
  profile: 'what a run waits for, and where the worker spends its time',
  pandas: 'scripts with pandas, from a hundredth of the rows to ten times as many',
};

/** Studies by name: they answer one question each, and print the answer. */
export const studyNames = {
  idle: 'what the history of a capture of an idle source grows by; 32 minutes',
  values: 'checksums, and rows that cross as text',
  tuning: 'settings of the session of the source',
};

export type BenchmarkName = keyof typeof benchmarkNames;
export type StudyName = keyof typeof studyNames;
