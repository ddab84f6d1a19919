import type { Session } from './session.ts';

/**
 * Makes the commit of this transaction wait only for the disk of its server, and not for standbys: it does no harm if it
 * is lost with the server, and should not wait for a standby that is away.
 */
export async function commitHere(session: Session): Promise<void> {
  await session.query('SET LOCAL synchronous_commit = local');
}
