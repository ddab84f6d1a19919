import { setTimeout as sleep } from 'node:timers/promises';
import { forgetKeys } from '../bronze/cdc/mirror.ts';
import {
  closeCapture,
  findCapture,
  findCapturesBeside,
  wasDropped,
  type Capture,
} from '../bronze/cdc/positions.ts';
import { readTables } from '../bronze/cdc/tables.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import type { DropRequest } from '../contract/capture-activities.ts';
import type { DropCaptureResult } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { suggestion } from '../contract/parse-input.ts';
import { listed } from '../contract/listed.ts';
import { dropPublication, findPublication } from '../postgres/replication/publications.ts';
import {
  dropSlot,
  endCopySlots,
  endStreamOf,
  findSlot,
  findSlotsBeside,
} from '../postgres/replication/slots.ts';
import { commitHere } from '../postgres/commit-here.ts';
import type { Database, TransactionOptions } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import type { WritingContext } from './capture-context.ts';

/** The databases of a capture, whose source may no longer exist. */
type DropContext = Omit<WritingContext, 'source'> & { readonly source: Database | undefined };

type Beside = readonly Pick<Capture, 'slot' | 'publication'>[];

/** How long a walsender may take to end, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Drops what a capture created: the slot, the publication if it is ours and nobody else reads from it, and its
 * bookkeeping in the warehouse. Any of these may be gone already. Changes and copies stay.
 *
 * @throws {DatakitError} UndefinedObject if there is nothing of that name; SlotConflict if the slot is not one of
 *   pgoutput; SlotActive if it stays in use; ReadOnlyServer if the source is a standby
 */
export async function dropCapture(
  { captureId, ...input }: Omit<DropRequest, keyof RunIdentity>,
  runId: string,
  { warehouse, source, signal, attempt }: DropContext,
): Promise<DropCaptureResult> {
  const limits = { run: runId, signal, attempt };
  const { capture, beside, before } = await warehouse.write(limits, async (session) => ({
    capture: await findCapture(session, input.source, input.slot),
    beside: await findCapturesBeside(session, input),
    before: await wasDropped(session, input),
  }));
  if (captureId !== undefined && captureId !== capture?.captureId)
    return { slot: false, publication: false, bookkeeping: false };
  const { slot, publication } =
    source === undefined
      ? { slot: false, publication: false }
      : await dropOnSource(input, { capture, beside }, source, limits);
  if (capture === undefined && !slot && !publication && !before) throw unknownSlot(input, beside);
  if (capture !== undefined) {
    await warehouse.write(limits, async (session) => {
      await commitHere(session);
      await forgetKeys(session, await readTables(session, capture.captureId));
      await closeCapture(session, capture.captureId);
    });
  }
  return { slot, publication, bookkeeping: capture !== undefined };
}

async function dropOnSource(
  { slot: slotName, publication: named }: Pick<DropRequest, 'slot' | 'publication'>,
  { capture, beside }: { readonly capture: Capture | undefined; readonly beside: Beside },
  source: Database,
  limits: TransactionOptions,
): Promise<Pick<DropCaptureResult, 'slot' | 'publication'>> {
  if (capture !== undefined) {
    await source.write(limits, async (session) => endCopySlots(session, slotName, capture.runId));
  }
  const slot = await dropOurSlot(slotName, capture?.runId, source, limits);
  const name = capture?.publication ?? named;
  const publication = await source.write(limits, async (session) => {
    if (name === undefined || isRead(name, beside, await findSlotsBeside(session, slotName))) return false;
    return dropOurPublication(session, name);
  });
  return { slot, publication };
}

/** A name that is misspelt must not pass for dropped, while the slot that was meant fills the disk of the source. */
function unknownSlot(
  { slot, source }: Pick<DropRequest, 'slot' | 'source'>,
  beside: readonly Pick<Capture, 'slot'>[],
): DatakitError {
  const others = beside.map((capture) => capture.slot);
  const known = others.length === 0 ? 'no captures' : `captures of ${listed(others, 5)}`;
  return new DatakitError(
    'UndefinedObject',
    `There is neither a slot "${slot}" nor a capture of it: of source "${source}" this warehouse has ${known}${suggestion(slot, others)}`,
  );
}

/** Drops the slot of a run's capture. @returns whether it existed */
export async function dropSlotOf(
  runId: string,
  slot: string,
  source: Database,
  signal: AbortSignal,
): Promise<boolean> {
  const limits = { run: runId, signal };
  return dropOurSlot(slot, runId, source, limits);
}

/** @param runId identifies a session that reads from it and may be ended; undefined if none may be */
async function dropOurSlot(
  name: string,
  runId: string | undefined,
  source: Database,
  limits: TransactionOptions,
): Promise<boolean> {
  const until = performance.now() + PATIENCE;
  for (;;) {
    const slot = await source.write(limits, async (session) => {
      await requirePrimary(session, source.label);
      const found = await findSlot(session, name);
      if (found === undefined) return undefined;
      if (found.plugin !== 'pgoutput') {
        throw new DatakitError(
          'SlotConflict',
          `The slot "${name}" does not use pgoutput, so no capture created it`,
        );
      }
      if (found.activePid === null) await dropSlot(session, name);
      else if (runId !== undefined) await endStreamOf(session, name, runId);
      return found;
    });
    if (slot === undefined) return false;
    if (slot.activePid === null) return true;
    if (performance.now() > until) {
      throw new DatakitError(
        'SlotActive',
        `The slot "${name}" is in use by process ${slot.activePid} (${slot.activeApplication ?? 'unnamed'})`,
      );
    }
    await sleep(200, undefined, { signal: limits.signal });
  }
}

/** A standby has slots of its own, if any: that of the primary would stay, and hold back log for nobody. */
async function requirePrimary(session: Session, label: string): Promise<void> {
  const { standby } = await session.one<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
  if (!standby) return;
  throw new DatakitError(
    'ReadOnlyServer',
    `${label}: the server is a standby, and slots are dropped on the primary`,
    { advice: 'Name the primary in the connection URL of the source.' },
  );
}

/**
 * Returns whether others may read from a publication: another capture, or a slot of no capture in this
 * warehouse, whose publications nobody knows. Without its publication PostgreSQL leaves changes out, or refuses
 * to decode any.
 */
function isRead(publication: string, beside: Beside, slots: readonly string[]): boolean {
  const known = new Set(beside.map(({ slot }) => slot));
  return (
    beside.some((capture) => capture.publication === publication) || slots.some((slot) => !known.has(slot))
  );
}

async function dropOurPublication(session: Session, name: string): Promise<boolean> {
  const publication = await findPublication(session, name);
  return publication?.isOurs === true && dropPublication(session, name);
}
