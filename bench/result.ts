import type { Figures } from './figures.ts';
import type { Growth } from './growth.ts';
import type { Machine } from './machine.ts';
import type { Timeline } from './timeline.ts';

/** Whose CPU time and memory are told apart. `tool` is what was measured, with all that it started. */
export type Part = 'source' | 'warehouse' | 'tool' | 'temporal';

/** One run of one subject. */
export interface Sample {
  readonly seconds: number;
  /** CPU seconds. */
  readonly cpu: Readonly<Record<Part, number>>;
  /** Bytes: of the tool all that is resident, of the servers what is not shared. */
  readonly memory: Readonly<Record<'tool' | 'source' | 'warehouse', number>>;
  /** Bytes of write-ahead log. */
  readonly wal: Readonly<Record<'source' | 'warehouse', number>>;
}

/** What one subject needed for one case: a table of a shape or a size, or a number of copies at once. */
export interface Measured {
  readonly subject: string;
  readonly case: string;
  readonly rows: number;
  /** Of the table in the source. */
  readonly bytes: number;
  readonly samples: readonly Sample[];
  /** Bytes that came from the source and that went to the warehouse, in a run of its own through a counting proxy. */
  readonly wire?: { readonly source: number; readonly warehouse: number };
  /** What landed in a column of another type, as `jsonb as text`; none where all types are the same. */
  readonly otherTypes?: readonly string[];
  /** Why there are no samples. */
  readonly failed?: string;
  /** What tables show of the samples. */
  readonly figures?: Figures;
}

/** What became of the values of one type: the same in a column of the same type, only the same as text, or something else. */
export type Kept = 'exact' | 'text' | 'lost' | 'refused';

export interface ValuesKept {
  readonly subject: string;
  readonly types: Readonly<Record<string, Kept>>;
  /** Whether a table of all types at once was taken. */
  readonly together: boolean;
  /** What tables show of the types. */
  readonly counts?: Readonly<Record<Kept, number>>;
}

/** What somebody saw who read the target again and again. */
export interface SeenByReaders {
  readonly subject: string;
  /** Reads that found: no table, no row, some of the rows, rows of both generations, another error. */
  readonly missing: number;
  readonly empty: number;
  readonly partial: number;
  readonly mixed: number;
  readonly whole: number;
  /** The longest that one read had to wait, in seconds, and how long the replace lasted. */
  readonly blocked: number;
  readonly seconds: number;
  /** By what the target was after a SIGKILL in the middle, how often. */
  readonly afterKill: Readonly<Record<string, number>>;
  /** Tables that a killed run left behind in the warehouse. */
  readonly leftBehind: readonly string[];
}

/** How much later changes were in bronze than in the source, in seconds from commit to commit. */
export interface Lag {
  /** Transactions a second that were committed in the source, and for how many seconds. */
  readonly rate: number;
  readonly seconds: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
  readonly most: number;
}

/** A part of what was looked at or counted, from 0 to 1. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

export interface Statement {
  /** The beginning of it. */
  readonly text: string;
  readonly calls: number;
  readonly seconds: number;
}

export interface WalWritten {
  readonly bytes: number;
  /** Whole pages, of 8 kB, of the first change after a checkpoint. */
  readonly pages: number;
  readonly records: number;
  /** How often the buffers of the log were full. */
  readonly full: number;
}

/** What was found out about one run. */
export interface Profile {
  readonly work: string;
  readonly timeline: Timeline;
  /** What the sessions of the run were seen at, on each of the servers. */
  readonly waits: Readonly<Record<'source' | 'warehouse', readonly Share[]>>;
  readonly statements: Readonly<Record<'source' | 'warehouse', readonly Statement[]>>;
  /** Of the warehouse. */
  readonly wal: WalWritten;
  /** Functions of the worker, by the CPU time of its main thread. */
  readonly worker: readonly Share[];
}

interface SectionOf<Kind extends string, Entry> {
  readonly kind: Kind;
  readonly title: string;
  /** How it was measured, in a sentence or two. */
  readonly about: string;
  readonly entries: readonly Entry[];
  /** Peers that could not be had, and why. */
  readonly leftOut?: Readonly<Record<string, string>>;
}

export type Section =
  | Times
  | Changes
  | SectionOf<'values', ValuesKept>
  | SectionOf<'readers', SeenByReaders>
  | SectionOf<'profile', Profile>;

interface Compared {
  /** What the beginning of the name of a subject or case is that the others are compared with; else it is the first. */
  readonly base?: string;
}

interface Times extends SectionOf<'times', Measured>, Compared {
  /** Whether the cases are the same table at several sizes, whose growth is told. */
  readonly sizes?: true;
  /** What tables show of the samples of several sizes. */
  readonly growth?: readonly Growth[];
}

interface Changes extends SectionOf<'changes', Measured>, Compared {
  readonly lag: Lag;
}

/** When and where a section was measured. */
export interface Circumstances {
  readonly at: string;
  readonly machine: Machine;
  /** Of one minute, before and after. */
  readonly load: readonly [number, number];
  readonly versions: Readonly<Record<string, string>>;
}

/** By name of the benchmark. A file of results is added to: what is measured again takes the place of the old. */
export type Results = Readonly<Record<string, Section & { readonly circumstances: Circumstances }>>;
