import type { Capture } from '../bronze/cdc/positions.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatBytes } from '../contract/quantities.ts';
import { isBefore, parseLsn } from '../postgres/replication/lsn.ts';
import type { Slot } from '../postgres/replication/slots.ts';
import type { SystemIdentity } from '../postgres/system-identity.ts';

/** The facts about a slot from both sides. */
export interface SlotFacts {
  readonly name: string;
  readonly database: string;
  readonly capture: Capture | undefined;
  readonly slot: Slot | undefined;
  readonly system: SystemIdentity;
  /** End of the source's log. */
  readonly logEnd: string;
  /** Where the source left each earlier timeline. */
  readonly history: ReadonlyMap<number, string>;
}

/**
 * `new`: nothing exists yet. `resume`: the slot has everything after the stored position.
 * `again`: the slot is ours, but its first copy never finished, so it is of no use.
 */
export type SlotOutcome = 'new' | 'resume' | 'again';

/**
 * Compares the slot with the stored position. PostgreSQL itself would silently skip forward.
 *
 * @throws {DatakitError} SlotConflict, SlotLost, PositionConflict: one text for each case
 */
export function compareSlot(facts: SlotFacts): SlotOutcome {
  const { name, capture, slot } = facts;
  if (slot !== undefined) requireOurKind(facts, slot);
  if (capture === undefined) {
    if (slot === undefined) return 'new';
    throw new DatakitError(
      'SlotConflict',
      `The slot "${name}" already exists, but this warehouse has no position for it, so it is unknown what was read from it before`,
    );
  }
  requireSameServer(facts, capture);
  if (capture.status === 'copying' || capture.position === null) return 'again';
  requireReadable(facts, capture, slot);
  return 'resume';
}

function requireOurKind({ name, database }: SlotFacts, slot: Slot): void {
  if (slot.plugin === null) throw conflict(name, 'is a physical slot');
  if (slot.plugin !== 'pgoutput') throw conflict(name, `uses the plugin ${slot.plugin}, not pgoutput`);
  if (slot.database !== database) throw conflict(name, `belongs to the database "${slot.database}"`);
  if (slot.temporary) throw conflict(name, 'is a temporary slot of another session');
}

const conflict = (name: string, what: string): DatakitError =>
  new DatakitError('SlotConflict', `The slot "${name}" of the source ${what}`);

function requireSameServer(facts: SlotFacts, capture: Capture): void {
  const { name, system, logEnd } = facts;
  if (capture.systemId !== system.systemId) {
    throw new DatakitError(
      'PositionConflict',
      `The source is another server than the one whose slot "${name}" was captured (system identifier ${system.systemId}, and ${capture.systemId} before)`,
    );
  }
  if (capture.position === null) return;
  if (capture.timeline !== system.timeline) {
    requireAncestor(facts, capture);
  } else if (isBefore(logEnd, capture.position)) {
    throw new DatakitError(
      'PositionConflict',
      `The log of the source ends at ${logEnd}, and the warehouse has changes up to ${capture.position}: the source was restored from a backup`,
    );
  }
}

/** Refuses a source that left the capture's timeline before the last change or copy: it lacks what came after. */
function requireAncestor(
  { system, history }: SlotFacts,
  { timeline, position, last, copiedAt }: Capture,
): void {
  const left = history.get(timeline);
  if (left === undefined) {
    throw new DatakitError(
      'PositionConflict',
      `The source is on timeline ${system.timeline}, which does not come from timeline ${timeline}, on which the warehouse has changes up to ${position}: it was restored to a moment before`,
    );
  }
  // a position advances without changes too; a commit record that begins before `left` also ends before it
  const isThere = last === null || isBefore(last.commitLsn, left);
  if (isThere && (copiedAt === null || !isBefore(left, copiedAt))) return;
  throw new DatakitError(
    'PositionConflict',
    `The source was restored, or another took its place, at ${left}, and the warehouse has changes up to ${position}: some of them are not in the source`,
  );
}

function requireReadable(facts: SlotFacts, capture: Capture, slot: Slot | undefined): asserts slot is Slot {
  const { name } = facts;
  const position = positionOn(facts, capture);
  if (slot === undefined) {
    throw new DatakitError(
      'SlotLost',
      `The slot "${name}" no longer exists; the warehouse has changes up to ${position}`,
    );
  }
  if (slot.walStatus === 'lost' || slot.restart === null) {
    throw new DatakitError(
      'SlotLost',
      `The slot "${name}" was invalidated: the source has removed log that it needed (max_slot_wal_keep_size, or idle_replication_slot_timeout); the warehouse has changes up to ${position}`,
    );
  }
  if (position !== null && slot.confirmed !== null && isBefore(position, slot.confirmed)) {
    const bytes = formatBytes(Number(parseLsn(slot.confirmed) - parseLsn(position)));
    const read =
      'somebody else has read from it or advanced it, or the warehouse was restored or failed over';
    // a new slot needs no log from before it was created; an old one that was advanced may not either
    const how = isBefore(position, slot.restart) ? `it was dropped and created again, or ${read}` : read;
    throw new DatakitError(
      'PositionConflict',
      `The slot "${name}" begins at ${slot.confirmed}, and the warehouse has changes up to ${position}: ${how}, and ${bytes} of log lie between`,
    );
  }
}

/** Returns the stored position, at most where the source left the capture's timeline. */
export function positionOn(
  { system, history }: Pick<SlotFacts, 'system' | 'history'>,
  { position, timeline }: Pick<Capture, 'position' | 'timeline'>,
): string | null {
  const left = timeline === system.timeline ? undefined : history.get(timeline);
  return position !== null && left !== undefined && isBefore(left, position) ? left : position;
}
