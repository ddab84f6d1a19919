import { debianPeers } from './debian.ts';
import type { PeerCache } from './cache.ts';
import type { Peer, PreparedPeer } from './peer.ts';
import { psqlPeers } from './psql.ts';
import { pandasPeers, pythonPeers } from './python.ts';

export const allPeers: readonly Peer[] = [...psqlPeers, ...debianPeers, ...pythonPeers, ...pandasPeers];

export interface ReadyPeers {
  readonly ready: readonly (Peer & PreparedPeer)[];
  /** Why a peer is not available, by name. */
  readonly leftOut: Record<string, string>;
}

/** Installs missing peers; one that cannot be installed is left out, with the reason. */
export async function preparePeers(peers: readonly Peer[], cache: PeerCache): Promise<ReadyPeers> {
  const ready: (Peer & PreparedPeer)[] = [];
  const leftOut: Record<string, string> = {};
  for (const peer of peers) {
    try {
      ready.push({ ...peer, ...(await peer.prepare(cache)) });
    } catch (error) {
      leftOut[peer.name] = error instanceof Error ? error.message : String(error);
    }
  }
  return { ready, leftOut };
}
