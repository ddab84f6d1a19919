import { randomInt } from 'node:crypto';
import { startTemporal, type TemporalServer } from '../../local/temporal.ts';

/**
 * Above the ports that other servers take, and below those of outgoing connections: another server would find the
 * port free while this one is stopped. At random, since several tests have such a server at once.
 */
const [FIRST_PORT, LAST_PORT] = [30_200, 32_700];

/** Starts a Temporal server that a test may stop and start again. */
export async function startRestartableTemporal(): Promise<TemporalServer> {
  return startTemporal({ port: randomInt(FIRST_PORT, LAST_PORT) });
}
