import { requireTarget } from '../bronze/bookkeeping/targets.ts';
import { openCapture } from '../bronze/cdc/positions.ts';
import { addTables, asCaptured, type Addition, type NewTable } from '../bronze/cdc/tables.ts';
import { BRONZE, defaultTarget } from '../bronze/layout.ts';
import type { PreparedCapture } from '../contract/capture-activities.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { quoteName } from '../postgres/identifiers.ts';
import { missingPrivilege } from '../postgres/missing-privilege.ts';
import { findCandidates, findHeirs, type Candidate } from '../postgres/replication/candidates.ts';
import type { Session } from '../postgres/session.ts';
import type { Preparing } from './capture-context.ts';
import { ensureReplicaIdentity } from './ensure-replica-identity.ts';
import { ensurePublication, warningsOfOthers } from './ensure-publication.ts';
import { requireCopyable } from './require-copyable.ts';

/** The workflow of a capture knows them by name, and so do its results, which are limited in size. */
const MOST_TABLES = 5_000;

/** Records a new capture, with its publication; its slot comes later. Checks everything before it creates anything. */
export async function beginCapture(
  { target, session, input, facts }: Preparing,
  run: RunIdentity,
): Promise<PreparedCapture> {
  await requireRoom(session);
  const candidates = await findCandidates(session, input.tables);
  const tables = await newTables(target, candidates, input);
  await ensureReplicaIdentity(session, candidates, input);
  const publication = await ensurePublication(session, candidates, input);
  if (input.initialCopy) await requireCopyable(session, publication, candidates, input);
  const warnings = [
    ...warningsOfOthers(publication, candidates, input),
    ...(await warningsOfHeirs(session, candidates)),
  ];
  const captureId = await openCapture(
    target,
    {
      source: input.source,
      slot: input.slot,
      publication: input.publication,
      ownPublication: publication.isOurs,
      systemId: facts.system.systemId,
      timeline: facts.system.timeline,
      warnings,
    },
    run,
  );
  await addTables(target, captureId, tables);
  return {
    captureId,
    outcome: 'new',
    tables: asCaptured(tables),
    written: { transactions: 0, changes: 0 },
    logEnd: facts.logEnd,
    warnings,
  };
}

async function requireRoom(session: Session): Promise<void> {
  const { slots, most, may, role } = await session.one<{
    slots: number;
    most: number;
    may: boolean;
    role: string;
  }>(
    `SELECT current_user AS role, (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS slots,
            current_setting('max_replication_slots')::int AS most,
            (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS may`,
  );
  if (!may) {
    throw missingPrivilege('The role lacks REPLICATION', `ALTER ROLE ${quoteName(role)} REPLICATION`);
  }
  if (slots < most) return;
  throw new DatakitError(
    'UnsupportedServer',
    `All ${most} replication slots of the source are taken: drop one that is not needed, or raise max_replication_slots`,
  );
}

/**
 * @param present the tables that the capture has already
 * @throws {DatakitError} InvalidInput if there are too many; TargetConflict, KeyConflict
 */
export async function newTables(
  target: Session,
  candidates: readonly Candidate[],
  { source, initialCopy, mirror }: CaptureChangesInput,
  present: readonly NewTable[] = [],
): Promise<(NewTable & Addition)[]> {
  requireFew(
    present.filter(({ status }) => status !== 'logged'),
    candidates,
  );
  const tables: (NewTable & Addition)[] = [];
  const feeds = new Map(present.map((table) => [table.target, formatTableName(table)]));
  for (const { schema, name, oid, key } of candidates) {
    const table = { schema, name };
    const copy = defaultTarget(table);
    if (initialCopy) {
      requireOwnTarget(table, copy, feeds.get(copy));
      feeds.set(copy, formatTableName(table));
      await requireTarget(target, copy, { source, table });
    }
    if (mirror && initialCopy) requireKey(table, key);
    tables.push({
      ...table,
      key,
      target: initialCopy ? copy : null,
      status: initialCopy ? 'copying' : 'logged',
      mirrored: mirror && initialCopy,
      // what the copy has, and that it is under way, is known by its OID, whatever its name is meanwhile
      ...(initialCopy && { catalog: { oid, files: {}, width: 0 } }),
    });
  }
  return tables;
}

/** @throws {DatakitError} InvalidInput if a capture would get more tables than it may have */
function requireFew(present: readonly TableName[], candidates: readonly TableName[]): void {
  const { size } = new Set([...present, ...candidates].map(formatTableName));
  if (size <= Math.max(MOST_TABLES, present.length)) return;
  throw new DatakitError(
    'InvalidInput',
    `The capture would have ${size} tables, and one has ${MOST_TABLES} at the most: share them out to several slots`,
  );
}

/** @throws {DatakitError} TargetConflict if another table of the capture has the same copy */
function requireOwnTarget(table: TableName, target: string, other: string | undefined): void {
  const shown = formatTableName(table);
  if (other === undefined || other === shown) return;
  throw new DatakitError(
    'TargetConflict',
    `${other} and ${shown} would both be copied to ${BRONZE}.${target}: capture one of them without "initialCopy", or leave it out`,
  );
}

/** @throws {DatakitError} KeyConflict if changes could not be applied to a copy */
export function requireKey(table: TableName, key: readonly string[]): void {
  if (key.length > 0) return;
  throw new DatakitError(
    'KeyConflict',
    `${formatTableName(table)} has no primary key that holds at every moment (a deferrable one does not), so that "mirror" cannot find its rows`,
    { advice: 'Give it a primary key, remove it from "tables", or leave "mirror" out.' },
  );
}

export async function warningsOfHeirs(session: Session, candidates: readonly Candidate[]): Promise<string[]> {
  const heirs = (await findHeirs(session, candidates)).map(formatTableName);
  if (heirs.length === 0) return [];
  return [
    `The rows of ${listed(heirs, 5)} are not captured with the tables that they inherit from: they and their changes come under their own names, where "tables" has those.`,
  ];
}
