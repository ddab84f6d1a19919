import { changeTimeline, type Capture } from '../bronze/cdc/positions.ts';
import { DatakitError } from '../contract/failures.ts';
import type { Database } from '../postgres/database.ts';
import type { ReplicationSession } from '../postgres/replication/replication-session.ts';
import { findSlot, readLogPositions } from '../postgres/replication/slots.ts';
import { compareSlot } from './compare-positions.ts';
import { followPublication, type Missed } from './follow-publication.ts';
import type { SentBefore } from './sent-before.ts';

export interface SlotContext {
  readonly source: Database;
  readonly warehouse: Database;
  readonly signal: AbortSignal;
  /** Names the sessions. */
  readonly runId: string;
  readonly onMissed: (missed: Missed) => void;
}

/**
 * Compares the slot with the stored position at every start of a stream: since the last one, the slot may have
 * been advanced, the source restored, a standby promoted, or the publication changed.
 *
 * @throws {DatakitError} SlotLost, SlotConflict, PositionConflict, PublicationConflict; Unreachable if the
 * source is a standby for now
 */
export async function requireSlot(
  replication: ReplicationSession,
  capture: Capture,
  { source, warehouse, signal, runId, onMissed }: SlotContext,
): Promise<SentBefore> {
  const system = await replication.identify();
  const history = await replication.timelineHistory(system.timeline);
  const limits = { run: runId, signal };
  const found = await source.read(limits, async (session) => {
    const server = await session.one<{ database: string; standby: boolean }>(
      'SELECT current_database() AS database, pg_is_in_recovery() AS standby',
    );
    if (server.standby) {
      throw new DatakitError(
        'Unreachable',
        `${source.label}: the server is a standby now, and changes are captured from the primary`,
      );
    }
    const slot = await findSlot(session, capture.slot);
    const { end } = await readLogPositions(session, capture.slot);
    return { slot, logEnd: end, database: server.database };
  });
  const outcome = compareSlot({ ...found, name: capture.slot, capture, system, history });
  if (outcome !== 'resume') throw copyForgotten(capture);
  const missed = await warehouse.write(limits, async (target) =>
    source.read(limits, async (session) => followPublication(target, session, capture)),
  );
  onMissed(missed);
  const left = history.get(capture.timeline);
  let { position } = capture;
  if (capture.timeline !== system.timeline && left !== undefined) {
    position = await warehouse.write(limits, async (session) =>
      changeTimeline(session, capture, { timeline: system.timeline, left }),
    );
  }
  const confirmed = found.slot?.confirmed;
  if (position === null || confirmed == null)
    throw new DatakitError('SlotLost', `The slot "${capture.slot}" was never made`);
  return { slot: capture.slot, position, last: capture.last, confirmed };
}

/** A stream starts only once the end of the first copy is on record. */
const copyForgotten = ({ slot }: Capture): DatakitError =>
  new DatakitError(
    'PositionConflict',
    `The warehouse no longer knows that the first copy on slot "${slot}" has ended: it was restored from a backup, or a standby took over that lacked it`,
  );
