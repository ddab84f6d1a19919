import type { Capture } from '../bronze/cdc/positions.ts';
import { asCaptured, readTables, type CaptureTable } from '../bronze/cdc/tables.ts';
import type { PreparedCapture } from '../contract/capture-activities.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName } from '../contract/table-name.ts';
import { findCandidates, type Candidate } from '../postgres/replication/candidates.ts';
import type { Session } from '../postgres/session.ts';
import type { Preparing } from './capture-context.ts';
import { followPublication } from './follow-publication.ts';

/** Continues a capture whose slot and position fit. @throws {DatakitError} PublicationConflict */
export async function resumeCapture(
  { target, session, input, facts }: Preparing,
  capture: Capture,
): Promise<PreparedCapture> {
  if (capture.publication !== input.publication) {
    throw new DatakitError(
      'PublicationConflict',
      `The capture of slot "${capture.slot}" reads publication "${capture.publication}", not "${input.publication}"`,
      { advice: 'Name that one. To go on with another, run dropCapture first.' },
    );
  }
  const missed = await followPublication(target, session, capture);
  const tables = await readTables(target, capture.captureId);
  return {
    captureId: capture.captureId,
    outcome: 'resume',
    tables: asCaptured(tables),
    copyWanted: missed.copyWanted,
    written: { transactions: capture.transactions, changes: capture.changes },
    logEnd: facts.logEnd,
    warnings: [...capture.warnings, ...missed.warnings, ...(await unheeded(session, input, tables))],
  };
}

/** Warns where the input differs from the capture, which only its start or an update could change. */
async function unheeded(
  session: Session,
  { tables: wanted, mirror }: CaptureChangesInput,
  tables: readonly CaptureTable[],
): Promise<string[]> {
  const warnings: string[] = [];
  const present = new Set(tables.map(formatTableName));
  const named: string[] = [];
  for (const entry of wanted) {
    const found = await findCandidates(session, [entry]).catch(noneWhereGone);
    named.push(...found.map(formatTableName).filter((table) => !present.has(table)));
  }
  if (named.length > 0) {
    warnings.push(
      `"tables" names ${listed(named, 5)}, which the capture does not include: add them with the update addTables.`,
    );
  }
  const copies = tables.filter(({ target }) => target !== null);
  const differs = copies.length > 0 ? copies.every((table) => table.mirrored !== mirror) : mirror;
  if (differs) {
    warnings.push(
      `The capture was begun with "mirror" ${mirror ? 'off' : 'on'}, and continues that way. To change it, run dropCapture and start the capture again.`,
    );
  }
  return warnings;
}

/** Goes on with the other tables if one no longer exists. */
function noneWhereGone(error: unknown): Candidate[] {
  if (error instanceof DatakitError && ['UndefinedObject', 'UnsupportedTable'].includes(error.kind))
    return [];
  throw error;
}
