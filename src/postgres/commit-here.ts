import type { Session } from './session.ts';

/**
 * Has the commit of this transaction wait for the disk of its server only, and not for standbys: it may be lost with the
 * server, and should not wait for a standby that is away.
 */
export async function commitHere(session: Session): Promise<void> {
  await session.query('SET LOCAL synchronous_commit = local');
}
