import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { readServer, sourceUriOf } from '../postgres/catalog/server.ts';
import type { Database, TransactionOptions } from '../postgres/database.ts';
import { parseLsn } from '../postgres/replication/lsn.ts';
import { ReplicationSession } from '../postgres/replication/replication-session.ts';
import { readLogPositions, writeHeartbeat } from '../postgres/replication/slots.ts';
import type { Session } from '../postgres/session.ts';
import type { SystemIdentity } from '../postgres/system-identity.ts';

/** The oldest version with logical messages in pgoutput. */
const OLDEST_VERSION = 14_00_00;
const FAILOVER_SINCE = 17_00_00;

/** The server that a capture reads from. */
export interface SourceFacts {
  readonly system: SystemIdentity;
  /** Positions at which earlier timelines ended, by timeline. */
  readonly history: ReadonlyMap<number, string>;
  /** Everything committed before lies before it. */
  readonly logEnd: string;
  readonly database: string;
}

type ServerIdentity = Pick<SourceFacts, 'system' | 'history'>;

export async function identifySource(
  source: Database,
  runId: string,
  signal: AbortSignal,
): Promise<ServerIdentity> {
  await using replication = await ReplicationSession.open(source, runId, signal);
  const system = await replication.identify();
  return { system, history: await replication.timelineHistory(system.timeline) };
}

/** @throws {DatakitError} UnsupportedServer if changes cannot be captured from the server */
export async function readSourceFacts(
  session: Session,
  { slot, failover }: CaptureChangesInput,
  identity: ServerIdentity,
): Promise<SourceFacts> {
  const server = await session.one<{ version: number; level: string; standby: boolean; database: string }>(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('wal_level') AS level,
            pg_is_in_recovery() AS standby, current_database() AS database`,
  );
  if (server.version < OLDEST_VERSION)
    throw new DatakitError('UnsupportedServer', 'Changes can be captured from PostgreSQL 14 on');
  if (failover && server.version < FAILOVER_SINCE)
    throw new DatakitError('UnsupportedServer', '"failover" needs PostgreSQL 17 or later');
  if (server.standby) {
    throw new DatakitError(
      'UnsupportedServer',
      'The source is a standby: changes are captured from the primary',
      { advice: 'Name the primary in the connection URL of the source.' },
    );
  }
  if (server.level !== 'logical') {
    throw new DatakitError(
      'UnsupportedServer',
      `wal_level of the source is "${server.level}": set it to "logical" and restart the server`,
    );
  }
  const lsn = await writeHeartbeat(session, slot);
  const { end } = await readLogPositions(session, slot);
  return { ...identity, database: server.database, logEnd: later(lsn, end) };
}

/** Returns the later position: what was written last may not be flushed yet. */
const later = (one: string, other: string): string => (parseLsn(one) > parseLsn(other) ? one : other);

/** Returns where the rows of a source come from, as bronze has it. */
export async function readSourceUri(source: Database, options: TransactionOptions): Promise<string> {
  return source.read(options, async (session) => sourceUriOf(await readServer(session, source.host)));
}
