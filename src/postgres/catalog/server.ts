import { DatakitError } from '../../contract/failures.ts';
import type { Session } from '../session.ts';

/** Facts about a server that a plan needs. */
export interface ServerFacts {
  /** 140000 for 14.0, as in `server_version_num`. */
  readonly version: number;
  readonly host: string;
  readonly database: string;
  readonly role: string;
  /** That of the database, such as `UTF8`. */
  readonly encoding: string;
  readonly blockSize: number;
}

/** Returns where rows come from: `postgresql://host/database`, without credentials. */
export const sourceUriOf = ({ host, database }: ServerFacts): string => `postgresql://${host}/${database}`;

/** The oldest version whose catalog the queries here were tested on. */
const OLDEST_VERSION = 12_00_00;

/** TID range scans, which read only the blocks of a chunk, came with PostgreSQL 14. */
export const hasTidRangeScan = ({ version }: ServerFacts): boolean => version >= 14_00_00;

export async function readServer(session: Session, host: string): Promise<ServerFacts> {
  const row = await session.one<{
    version: string;
    database: string;
    role: string;
    encoding: string;
    block_size: string;
  }>(
    `SELECT current_setting('server_version_num') AS version, current_database() AS database, current_user AS role,
            current_setting('server_encoding') AS encoding, current_setting('block_size') AS block_size`,
  );
  const version = Number(row.version);
  if (version < OLDEST_VERSION) {
    throw new DatakitError('UnsupportedServer', `PostgreSQL ${Math.floor(version / 10_000)} is too old`);
  }
  return {
    version,
    host,
    database: row.database,
    role: row.role,
    encoding: row.encoding,
    blockSize: Number(row.block_size),
  };
}
