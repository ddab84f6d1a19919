import { findDropped, forgetKeys } from '../bronze/cdc/mirror.ts';
import {
  addTables,
  ALL_IS_LOGGED,
  asCaptured,
  readTables,
  recordCopying,
  removeTables,
  type CaptureTable,
} from '../bronze/cdc/tables.ts';
import {
  addWarnings,
  changeTablesOf,
  findCapturesBeside,
  readCapture,
  type Capture,
} from '../bronze/cdc/positions.ts';
import { referenceOf, type CapturedTable, type ChangeTablesRequest } from '../contract/capture-activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { suggestion } from '../contract/parse-input.ts';
import { includesTable, type SchemaOrTable } from '../contract/schema-or-table.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { orStatementFor } from '../postgres/missing-privilege.ts';
import { findCandidates, type Candidate } from '../postgres/replication/candidates.ts';
import {
  alterPublication,
  findPublication,
  type PublishedTable,
} from '../postgres/replication/publications.ts';
import { LONGEST_LOCK_TIMEOUT } from '../extraction/plan/plan-run.ts';
import type { Session } from '../postgres/session.ts';
import { ensureReplicaIdentity } from './ensure-replica-identity.ts';
import { newTables, warningsOfHeirs } from './begin-capture.ts';
import { requireCopyable } from './require-copyable.ts';
import type { WritingContext } from './capture-context.ts';

/**
 * Adds tables to a capture, or removes them.
 *
 * An added table is sent from now on, and copied on a snapshot taken after every transaction that is open now has
 * ended, so that nothing falls between. One that the capture has is copied again if its copy may lack changes.
 */
export async function changeTables(
  request: ChangeTablesRequest,
  { warehouse, source, signal, attempt }: WritingContext,
): Promise<readonly CapturedTable[]> {
  const limits = { run: request.runId, signal, attempt };
  return warehouse.write(limits, async (target) => {
    await changeTablesOf(target, request.captureId);
    await source.write({ ...limits, lockTimeout: LONGEST_LOCK_TIMEOUT }, async (session) =>
      request.change === 'add' ? add(target, session, request) : remove(target, session, request),
    );
    return asCaptured(await readTables(target, request.captureId));
  });
}

async function add(
  target: Session,
  source: Session,
  { captureId, input, tables }: ChangeTablesRequest,
): Promise<void> {
  const present = await readTables(target, captureId);
  const known = new Map(present.map((table) => [formatTableName(table), table]));
  const { publication: name, position: addedAt } = await readCapture(target, referenceOf(captureId, input));
  const publication = await findPublication(source, name);
  const sent = new Map(publication?.tables.map(({ oid, membership }) => [oid, membership]));
  const candidates = await findCandidates(source, tables);
  const again = await findOutdated(target, candidates, { known, sent });
  const isLoggedAtMost = (table: TableName) =>
    (known.get(formatTableName(table))?.status ?? 'logged') === 'logged';
  const uncopied = candidates.filter(isLoggedAtMost);
  const changed = [...uncopied, ...again];
  if (changed.length === 0) return;
  const added = (await newTables(target, uncopied, input, present)).map((table) =>
    // of those that were only logged, the log has had everything
    known.has(formatTableName(table)) ? { ...table, logFrom: ALL_IS_LOGGED } : { ...table, addedAt },
  );
  await ensureReplicaIdentity(source, changed, { ...input, publication: name });
  await publish(
    source,
    name,
    changed.filter(({ oid }) => !sent.has(oid)),
  );
  if (input.initialCopy) {
    const sending = (await findPublication(source, name)) ?? { tables: [] };
    await requireCopyable(source, sending, uncopied, input);
  }
  await removeTables(target, captureId, uncopied); // those that were only logged
  await addTables(target, captureId, added);
  for (const table of again) await recordCopying(target, captureId, table);
  await addWarnings(target, captureId, await warningsOfHeirs(source, uncopied));
}

/**
 * Returns those of the tables whose copies are of no use: they were dropped and created anew, the publication did not
 * send them for a while, or somebody dropped the copy.
 */
async function findOutdated(
  target: Session,
  candidates: readonly Candidate[],
  { known, sent }: { known: ReadonlyMap<string, CaptureTable>; sent: ReadonlyMap<number, string> },
): Promise<Candidate[]> {
  const live = [...known.values()].filter(({ status }) => status === 'live');
  const dropped = await findDropped(
    target,
    live.flatMap((copy) => copy.target ?? []),
  );
  return candidates.filter(({ oid, ...table }) => {
    const copy = known.get(formatTableName(table));
    if (copy === undefined || copy.status === 'logged') return false;
    const membership = sent.get(oid);
    const wasSent = copy.membership === null || copy.membership === membership;
    const isSame = copy.catalog === null || copy.catalog.oid === oid;
    return membership === undefined || !wasSent || !isSame || dropped.has(copy.target ?? '');
  });
}

async function publish(source: Session, publication: string, unsent: readonly Candidate[]): Promise<void> {
  if (unsent.length === 0) return;
  const statement = alterPublication(publication, 'add', unsent);
  await orStatementFor(statement, async () => source.query(statement));
}

async function remove(
  target: Session,
  source: Session,
  { captureId, input, tables }: ChangeTablesRequest,
): Promise<void> {
  const present = await readTables(target, captureId);
  const leaving = tables.flatMap((wanted) => matching(present, wanted));
  const capture = await readCapture(target, referenceOf(captureId, input));
  const { publication } = capture;
  const sent = (await findPublication(source, publication))?.tables ?? [];
  const names = new Set(leaving.map(formatTableName));
  const unpublished = sent.filter((table) => names.has(formatTableName(table)));
  requireNamed(publication, unpublished);
  await requireUnread(target, capture, unpublished);
  if (unpublished.length > 0) {
    const statement = alterPublication(publication, 'remove', unpublished);
    await orStatementFor(statement, async () => source.query(statement));
  }
  await forgetKeys(target, leaving);
  await removeTables(target, captureId, leaving);
}

/** @throws {DatakitError} PublicationConflict if tables cannot be taken out of the publication one by one */
function requireNamed(publication: string, leaving: readonly PublishedTable[]): void {
  const others = leaving.filter(({ isNamed }) => !isNamed).map(formatTableName);
  if (others.length === 0) return;
  throw new DatakitError(
    'PublicationConflict',
    `The publication "${publication}" sends ${listed(others, 5)} as one of all tables, or of all of its schema, from which it cannot be taken out: to leave it out, use a publication that names its tables`,
  );
}

/** @throws {DatakitError} PublicationConflict if another capture has a table from the same publication */
async function requireUnread(
  target: Session,
  capture: Capture,
  leaving: readonly TableName[],
): Promise<void> {
  const names = new Set(leaving.map(formatTableName));
  for (const { captureId, slot, publication } of await findCapturesBeside(target, capture)) {
    if (publication !== capture.publication) continue;
    const read = (await readTables(target, captureId)).map(formatTableName).filter((one) => names.has(one));
    if (read.length === 0) continue;
    throw new DatakitError(
      'PublicationConflict',
      `The capture of slot "${slot}" has ${listed(read, 5)} from the same publication "${publication}", where it must stay`,
    );
  }
}

/** @throws {DatakitError} UndefinedObject, naming a similar table */
function matching<Table extends TableName>(present: readonly Table[], wanted: SchemaOrTable): Table[] {
  const found = present.filter((table) => includesTable(wanted, table));
  if (found.length > 0) return found;
  const shown = wanted.all === true ? `${wanted.schema}.*` : formatTableName(wanted);
  const hint = suggestion(shown, present.map(formatTableName));
  throw new DatakitError('UndefinedObject', `The capture has no table ${shown}${hint}`);
}
