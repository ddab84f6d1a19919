import type { PeerCache } from './cache.ts';

/** Tables to copy from one database to another. */
export interface Job {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly tables: readonly SourceTable[];
  /** An empty directory, for files that the peer wants. */
  readonly directory: string;
  /** Where only what is new since the last run is to be brought: the key of a row, and the column that tells. */
  readonly increment?: { readonly key: string; readonly cursor: string };
  /** Where only the rows of a range are to be brought, in place of those that the target has of it. */
  readonly part?: Part;
}

/** The rows whose column is not before `from`, and before `to`. */
export interface Part {
  readonly column: string;
  readonly from: string;
  readonly to: string;
}

/** A table of the schema `public`. */
export interface SourceTable {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Another way to copy tables, used as its documents say, each run replacing what the last one has written. */
export interface Peer {
  readonly name: string;
  /** What is run, in a few words. */
  readonly about: string;
  /** Whether it has a mode of its own that merges what is new. */
  readonly increments?: boolean;
  /** Whether it has one that puts the rows of a range in the place of those that are there. */
  readonly parts?: boolean;
  /**
   * Makes it ready to run.
   *
   * @throws if it cannot be had, with the reason
   */
  prepare(cache: PeerCache): Promise<PreparedPeer>;
}

export interface PreparedPeer {
  readonly version: string;
  /** Whether tables must be there, empty, before the first run; it is the user who makes them then. */
  readonly needsTables?: boolean;
  command(job: Job): Promise<Command> | Command;
  /** Where rows of a table land, as SQL. */
  target(table: string): string;
}

export const inPublic = (table: string): string => `public."${table}"`;

/** The columns as SQL of a table's definition. */
export const columnList = ({ columns }: SourceTable): string =>
  columns.map(({ name, type }) => `"${name.replaceAll('"', '""')}" ${type}`).join(', ');
