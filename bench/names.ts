/** Benchmarks by name, with their subject. Their results are tables, which are kept. */
export const benchmarkNames = {
  copy: 'a large table (5,000,000 rows unless --rows says otherwise) and a small one, against psql | psql',
  peers: 'one table, by this project and by every peer',
  types: 'difficult values: what each tool keeps of them',
  readers: 'what readers see during a replace and after a SIGKILL',
  shapes: 'tables of several shapes, by the quicker peers',
  partition: 'one of a hundred partitions replaced',
  scaling: 'more copies at once, more workers',
  growth: 'once, three times and ten times the rows',
  increments: 'increments of a table of which 1 % changed',
  cdc: 'change data capture against pg_recvlogical, and its lag',
  limits: 'reading alone, writing alone, and both',
  profile: 'what a run waits for, and what the worker spends its time on',
  pandas: 'scripts with pandas, from a hundredth of the rows to ten times as many',
};

/** Studies by name: each answers one question and prints the answer. */
export const studyNames = {
  idle: 'how the history of a capture of an idle source grows; takes 32 minutes',
  values: 'the cost of checksums, and of rows copied as text',
  tuning: 'session settings of the source',
};

export type BenchmarkName = keyof typeof benchmarkNames;
export type StudyName = keyof typeof studyNames;
