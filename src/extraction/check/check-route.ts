import { fine, problem, warning, type Finding } from '../../contract/check-source.ts';
import type { DatabaseClient } from '../../postgres/connect.ts';
import type { Database } from '../../postgres/database.ts';
import { serverFailure } from '../../postgres/server-failure.ts';

interface Reached {
  readonly process: number;
  readonly server: string;
  readonly encrypted: boolean;
  readonly version: string | null;
}

/** Milliseconds. Enforced here and not by the server, since a pooler would not accept such a setting. */
const LONGEST_ANSWER = 30_000;

/**
 * Checks what lies between worker and server (nothing, a pooler, a load balancer), and whether anyone can listen in.
 *
 * @throws {DatakitError} if the two sessions that this takes are not available
 */
export async function checkRoute(database: Database, signal?: AbortSignal): Promise<Finding[]> {
  return connected(database, signal, async (first) => {
    const here = await reached(first);
    const there = await connected(database, signal, reached);
    return [encryption(database, here), ...poolers(first, here, there)];
  });
}

/** Runs work on a session of its own, which cancellation closes even if the server hangs. */
async function connected<T>(
  database: Database,
  signal: AbortSignal | undefined,
  work: (client: DatabaseClient) => Promise<T>,
): Promise<T> {
  const client = await database.connect({ query_timeout: LONGEST_ANSWER });
  const hangUp = () => void client.connection.stream.destroy();
  signal?.addEventListener('abort', hangUp, { once: true });
  // a signal that was aborted while this connected does not tell it any more
  if (signal?.aborted === true) hangUp();
  try {
    return await work(client);
  } catch (error) {
    throw serverFailure(error, database.label);
  } finally {
    signal?.removeEventListener('abort', hangUp);
    await client.end();
  }
}

async function reached(client: DatabaseClient): Promise<Reached> {
  const { rows } = await client.query<Reached>(
    `SELECT pg_backend_pid() AS process, s.ssl AS encrypted, s.version,
            pg_catalog.concat_ws(' ', inet_server_addr(), inet_server_port(), pg_postmaster_start_time()) AS server
       FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_backend_pid()`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the server does not know its own session');
  return row;
}

const LOCAL = new Set(['localhost', '127.0.0.1', '::1']);

function encryption({ host }: Database, { encrypted, version }: Reached): Finding {
  if (encrypted) return fine('encryption', `the server is reached by ${version ?? 'TLS'}`);
  if (LOCAL.has(host)) return fine('encryption', 'none, on this machine');
  return warning(
    'encryption',
    'none: rows and statements can be read on their way',
    'Set sslmode "verify-full" and sslrootcert, where the server has TLS.',
  );
}

function poolers(first: DatabaseClient, here: Reached, there: Reached): Finding[] {
  if (here.server !== there.server) {
    return [
      problem(
        'route',
        `two connections reached two servers (${here.server}; ${there.server})`,
        'Name one server in the URL: a snapshot held on one is not available on the other. Or use "consistency": "none".',
      ),
    ];
  }
  // the first session is outside a transaction: only a pooler would give its process to another
  if (here.process === there.process) {
    return [
      warning(
        'route',
        'a pooler in transaction mode is in the way',
        'Runs work through it, snapshots too, as long as its pool has a server connection for each copy and each holder of a snapshot. SOURCE_PG_OPTIONS and replication do not: connect to the server itself for changes (CDC).',
      ),
    ];
  }
  if (first.processID !== here.process) {
    return [
      fine(
        'route',
        'a pooler in session mode, or another proxy, is in the way: runs work through it, replication may not',
      ),
    ];
  }
  return [fine('route', 'the server is reached directly')];
}
