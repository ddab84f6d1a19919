import type { PeerCache } from './cache.ts';

/** Tables to copy from one database to another. */
export interface Job {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly tables: readonly SourceTable[];
  /** An empty directory for the peer's files. */
  readonly directory: string;
  /** For an incremental copy: the key of a row, and the column that identifies new rows. */
  readonly increment?: { readonly key: string; readonly cursor: string };
  /** For a range copy: the rows to copy, replacing those of the same range in the target. */
  readonly part?: Part;
}

/** The rows whose column is at or after `from`, and before `to`. */
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

/** Another way to copy tables, used as documented; each run replaces what the previous one wrote. */
export interface Peer {
  readonly name: string;
  /** The command or method, in a few words. */
  readonly about: string;
  /** Set if it has a mode of its own for merging new rows. */
  readonly increments?: boolean;
  /** Set if it has a mode for replacing the rows of a range. */
  readonly parts?: boolean;
  /**
   * Installs it if necessary.
   *
   * @throws with the reason if it is not available
   */
  prepare(cache: PeerCache): Promise<PreparedPeer>;
}

export interface PreparedPeer {
  readonly version: string;
  /** Set if the user must create empty tables before the first run. */
  readonly needsTables?: boolean;
  command(job: Job): Promise<Command> | Command;
  /** Where the rows of a table land, as SQL. */
  target(table: string): string;
}

export const inPublic = (table: string): string => `public."${table}"`;

/** Returns the columns as SQL for a table definition. */
export const columnList = ({ columns }: SourceTable): string =>
  columns.map(({ name, type }) => `"${name.replaceAll('"', '""')}" ${type}`).join(', ');
