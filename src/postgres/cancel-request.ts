import { Connection } from 'pg';
import { clientOptions, type Way } from './client-options.ts';
import type { ConnectionSettings } from './connection-settings.ts';

/** Long enough for a handshake, and no longer, since whoever waits is being cancelled. */
const CANCEL_TIMEOUT = 5_000;

export interface Cancellable {
  readonly processId: number;
  readonly secretKey: number;
}

/**
 * Asks the server to cancel what a session is doing, as libpq does: over a separate connection without a login.
 * So it needs no free session, and behind a pooler it reaches the right one.
 *
 * Resolves when the server has received the request or cannot be reached. See
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS.
 */
export async function requestCancel(
  settings: ConnectionSettings,
  way: Way,
  { processId, secretKey }: Cancellable,
): Promise<void> {
  const { ssl, sslnegotiation = 'postgres' } = clientOptions(settings, way);
  const connection = new Connection({ ssl, sslNegotiation: sslnegotiation });
  const ended = new Promise<void>((resolve) => {
    connection.on('end', resolve);
    connection.on('error', resolve);
    AbortSignal.timeout(CANCEL_TIMEOUT).addEventListener('abort', () => resolve());
  });
  const cancel = (): void => connection.cancel(processId, secretKey);
  connection.on('sslconnect', cancel);
  connection.on('connect', () => {
    if (way === 'plain') cancel();
    else if (sslnegotiation === 'postgres') connection.requestSsl();
  });
  const { host, port } = settings;
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
  else connection.connect(port, host);
  await ended;
  connection.stream.destroy();
}
