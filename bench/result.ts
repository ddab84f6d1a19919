import type { Figures } from './figures.ts';
import type { Growth } from './growth.ts';
import type { Machine } from './machine.ts';
import type { Timeline } from './timeline.ts';

/** Owners of CPU time and memory. `tool` is the subject under test, with all its child processes. */
export type Part = 'source' | 'warehouse' | 'tool' | 'temporal';

/** One run of one subject. */
export interface Sample {
  readonly seconds: number;
  /** CPU seconds. */
  readonly cpu: Readonly<Record<Part, number>>;
  /** Bytes: all resident memory of the tool; of the servers, only memory that is not shared. */
  readonly memory: Readonly<Record<'tool' | 'source' | 'warehouse', number>>;
  /** Bytes of write-ahead log. */
  readonly wal: Readonly<Record<'source' | 'warehouse', number>>;
}

/** Measurements of one subject for one case: a table of some shape or size, or some parallelism. */
export interface Measured {
  readonly subject: string;
  readonly case: string;
  readonly rows: number;
  /** Size of the table in the source. */
  readonly bytes: number;
  readonly samples: readonly Sample[];
  /** Bytes received from the source and sent to the warehouse, in a separate run through a counting proxy. */
  readonly wire?: { readonly source: number; readonly warehouse: number };
  /** Types that changed, such as `jsonb as text`; empty if all types match. */
  readonly otherTypes?: readonly string[];
  /** Why there are no samples. */
  readonly failed?: string;
  /** Figures that tables show for the samples. */
  readonly figures?: Figures;
}

/** The fate of the values of one type: same values and type, same only as text, or changed. */
export type Kept = 'exact' | 'text' | 'lost' | 'refused';

export interface ValuesKept {
  readonly subject: string;
  readonly types: Readonly<Record<string, Kept>>;
  /** True if a table of all types at once was accepted. */
  readonly together: boolean;
  /** Counts that tables show for the types. */
  readonly counts?: Readonly<Record<Kept, number>>;
}

/** Observations of a continuous reader of the target. */
export interface SeenByReaders {
  readonly subject: string;
  /** Number of reads that found no table or failed, no rows, some rows, rows of both generations, and all rows. */
  readonly missing: number;
  readonly empty: number;
  readonly partial: number;
  readonly mixed: number;
  readonly whole: number;
  /** The longest single read and the duration of the replace, in seconds. */
  readonly blocked: number;
  readonly seconds: number;
  /** Number of SIGKILLs in the middle of a replace, by the state of the target afterwards. */
  readonly afterKill: Readonly<Record<string, number>>;
  /** Tables that killed runs left behind in the warehouse. */
  readonly leftBehind: readonly string[];
}

/** Delay of changes in bronze relative to the source, in seconds from commit to commit. */
export interface Lag {
  /** Transactions per second committed in the source, and for how many seconds. */
  readonly rate: number;
  readonly seconds: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
  readonly most: number;
}

/** A fraction of the samples or counts, from 0 to 1. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

export interface Statement {
  /** Its first characters. */
  readonly text: string;
  readonly calls: number;
  readonly seconds: number;
}

export interface WalWritten {
  readonly bytes: number;
  /** Full-page images, of 8 kB, for the first change after a checkpoint. */
  readonly pages: number;
  readonly records: number;
  /** How often the WAL buffers were full. */
  readonly full: number;
}

/** Findings about one run. */
export interface Profile {
  readonly work: string;
  readonly timeline: Timeline;
  /** Wait events of the run's sessions, on each server. */
  readonly waits: Readonly<Record<'source' | 'warehouse', readonly Share[]>>;
  readonly statements: Readonly<Record<'source' | 'warehouse', readonly Statement[]>>;
  /** Of the warehouse. */
  readonly wal: WalWritten;
  /** Functions of the worker, by CPU time of its main thread. */
  readonly worker: readonly Share[];
}

interface SectionOf<Kind extends string, Entry> {
  readonly kind: Kind;
  readonly title: string;
  /** How it was measured, in a sentence or two. */
  readonly about: string;
  readonly entries: readonly Entry[];
  /** Why peers are missing, by name. */
  readonly leftOut?: Readonly<Record<string, string>>;
}

export type Section =
  | Times
  | Changes
  | SectionOf<'values', ValuesKept>
  | SectionOf<'readers', SeenByReaders>
  | SectionOf<'profile', Profile>;

interface Compared {
  /** Name prefix of the subject or case that the others are compared with; the first one by default. */
  readonly base?: string;
}

interface Times extends SectionOf<'times', Measured>, Compared {
  /** Set if the cases are one table at several sizes, so that growth is shown. */
  readonly sizes?: true;
  /** Growth that tables show for several sizes. */
  readonly growth?: readonly Growth[];
}

interface Changes extends SectionOf<'changes', Measured>, Compared {
  readonly lag: Lag;
}

/** When and where a section was measured. */
export interface Circumstances {
  readonly at: string;
  readonly machine: Machine;
  /** Load averages of one minute, before and after. */
  readonly load: readonly [number, number];
  readonly versions: Readonly<Record<string, string>>;
}

/** Sections by benchmark name. New results are added to the file, replacing those of the same benchmark. */
export type Results = Readonly<Record<string, Section & { readonly circumstances: Circumstances }>>;
