import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { canConnect } from './can-connect.ts';

/**
 * Below the range that systems use for outgoing connections (from 32768 on Linux): a client that keeps dialling a
 * stopped server's port inside that range can be assigned the same port and connect to itself.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 30_000;
const ATTEMPTS = 200;

/** Ports already given out by this process: two servers that start at once must not get the same one. */
const given = new Set<number>();

/** Finds a loopback port that nobody listens on: the wanted one, or the next free one after it. */
export async function freePort(wanted = randomInt(FIRST_PORT, LAST_PORT)): Promise<number> {
  for (let port = wanted; port < wanted + ATTEMPTS; port++) {
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
    given.delete(port);
  }
  throw new Error(`no free port between ${wanted} and ${wanted + ATTEMPTS - 1}`);
}

/** Makes the port available to a later server. */
export function releasePort(port: number): void {
  given.delete(port);
}

async function isFree(port: number): Promise<boolean> {
  // Checked first because macOS lets a second socket bind the loopback address below a wildcard listener.
  if (await canConnect(port)) return false;
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}
