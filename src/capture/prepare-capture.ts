import { defaultTarget } from '../bronze/layout.ts';
import { addTables, readTables, type CaptureTable, type NewTable } from '../bronze/cdc/tables.ts';
import { findCapture, forgetCapture, openCapture, takeOver, type Capture } from '../bronze/cdc/positions.ts';
import { requireTarget } from '../bronze/bookkeeping/targets.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import type { PrepareCaptureRequest, PreparedCapture } from '../contract/capture-activities.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { LONGEST_LOCK_TIMEOUT } from '../extraction/plan/plan-run.ts';
import type { Database } from '../postgres/database.ts';
import { parseLsn } from '../postgres/replication/lsn.ts';
import {
  findCandidates,
  findHeirs,
  findPublication,
  makePublication,
  type Candidate,
  type Publication,
} from '../postgres/replication/publications.ts';
import { ReplicationSession, type SystemIdentity } from '../postgres/replication/replication-session.ts';
import {
  dropSlot,
  endStreamOf,
  findSlot,
  readLogPositions,
  writeHeartbeat,
} from '../postgres/replication/slots.ts';
import type { Session } from '../postgres/session.ts';
import { compareSlot } from './compare-positions.ts';
import { ensureReplicaIdentity } from './ensure-replica-identity.ts';
import { followPublication } from './follow-publication.ts';

/** Each is planned, copied and committed by a workflow whose history must stay short. */
const MOST_TABLES = 500;
/** The oldest version with logical messages in pgoutput. */
const OLDEST_VERSION = 14_00_00;

export interface CaptureContext {
  readonly warehouse: Database;
  readonly source: Database;
  readonly signal: AbortSignal;
}

export interface PrepareContext extends CaptureContext {
  /** Returns whether the workflow of a run is known to be under way. */
  readonly isRunning: (run: RunIdentity) => Promise<boolean>;
}

interface SourceFacts {
  readonly system: SystemIdentity;
  readonly history: ReadonlyMap<number, string>;
  readonly logEnd: string;
  readonly database: string;
}

/**
 * Gets a capture to where it can copy or stream: everything that can be refused is refused here, before
 * anything is created.
 */
export async function prepareCapture(
  { input, ...run }: PrepareCaptureRequest,
  { warehouse, source, signal, isRunning }: PrepareContext,
): Promise<PreparedCapture> {
  const limits = { run: run.runId, signal };
  const identity = await identify(source, run.runId);
  return warehouse.write(limits, async (target) => {
    const capture = await findCapture(target, input.source, input.slot);
    return source.write({ ...limits, lockTimeout: LONGEST_LOCK_TIMEOUT }, async (session) => {
      const facts = await readFacts(session, input, identity);
      const slot = await findSlot(session, input.slot);
      const outcome = compareSlot({ ...facts, name: input.slot, capture, slot });
      const common = { target, session, input, facts };
      if (outcome === 'resume' && capture !== undefined) {
        await takeOver(target, capture, run);
        return resumed(common, capture);
      }
      if (outcome === 'again' && capture !== undefined) {
        if (capture.runId !== run.runId && (await isRunning(capture))) throw underWay(capture);
        if (slot !== undefined) {
          await endStreamOf(session, input.slot, capture.runId);
          await dropSlot(session, input.slot);
        }
        await forgetCapture(target, capture.captureId);
      }
      return begun(common, run);
    });
  });
}

const underWay = ({ slot, workflowId }: Capture): DatakitError =>
  new DatakitError(
    'AlreadyRunning',
    `The first copy on slot "${slot}" is being made by the workflow "${workflowId}"`,
  );

async function identify(source: Database, name: string): Promise<Pick<SourceFacts, 'system' | 'history'>> {
  await using replication = await ReplicationSession.open(source, name);
  const system = await replication.identify();
  return { system, history: await replication.timelineHistory(system.timeline) };
}

async function readFacts(
  session: Session,
  { slot }: CaptureChangesInput,
  identity: Pick<SourceFacts, 'system' | 'history'>,
): Promise<SourceFacts> {
  const server = await session.one<{ version: number; level: string; standby: boolean; database: string }>(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('wal_level') AS level,
            pg_is_in_recovery() AS standby, current_database() AS database`,
  );
  if (server.version < OLDEST_VERSION)
    throw new DatakitError('UnsupportedServer', 'Changes can be captured from PostgreSQL 14 on');
  if (server.standby) {
    throw new DatakitError(
      'UnsupportedServer',
      'The source is a standby: changes are captured from the primary',
    );
  }
  if (server.level !== 'logical') {
    throw new DatakitError(
      'UnsupportedServer',
      `wal_level of the source is "${server.level}": set it to "logical" and restart the server`,
    );
  }
  const lsn = await writeHeartbeat(session, slot);
  const { end } = await readLogPositions(session, slot);
  return { ...identity, database: server.database, logEnd: later(lsn, end) };
}

/** Returns the later position: what was written last may not be flushed yet. */
const later = (one: string, other: string): string => (parseLsn(one) > parseLsn(other) ? one : other);

interface Preparing {
  readonly target: Session;
  readonly session: Session;
  readonly input: CaptureChangesInput;
  readonly facts: SourceFacts;
}

async function resumed(
  { target, session, input, facts }: Preparing,
  capture: Capture,
): Promise<PreparedCapture> {
  if (capture.publication !== input.publication) {
    throw new DatakitError(
      'PublicationConflict',
      `The capture of slot "${capture.slot}" reads publication "${capture.publication}", not "${input.publication}"`,
    );
  }
  const missed = await followPublication(target, session, capture);
  const tables = await readTables(target, capture.captureId);
  return {
    captureId: capture.captureId,
    outcome: 'resume',
    tables: tables.map(({ schema, name, status }) => ({ schema, name, copying: status === 'copying' })),
    written: { transactions: capture.transactions, changes: capture.changes },
    logEnd: facts.logEnd,
    warnings: [...capture.warnings, ...missed, ...(await unheeded(session, input, tables))],
  };
}

/** Warns where the input differs from the capture, which only its start or an update could change. */
async function unheeded(
  session: Session,
  { tables: patterns, mirror }: CaptureChangesInput,
  tables: readonly CaptureTable[],
): Promise<string[]> {
  const warnings: string[] = [];
  const present = new Set(tables.map(formatTableName));
  const named: string[] = [];
  for (const pattern of patterns) {
    const found = await findCandidates(session, [pattern]).catch(noneWhereGone);
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

async function begun(
  { target, session, input, facts }: Preparing,
  run: RunIdentity,
): Promise<PreparedCapture> {
  await requireRoom(session);
  const candidates = await findCandidates(session, input.tables);
  if (candidates.length > MOST_TABLES) {
    throw new DatakitError(
      'InvalidInput',
      `"tables" names ${candidates.length} tables, and one capture has ${MOST_TABLES} at the most: share them out to several slots`,
    );
  }
  const tables = await newTables(target, candidates, input);
  await ensureReplicaIdentity(session, candidates, input);
  const publication = await ensurePublication(session, candidates, input);
  const warnings = [
    ...warningsOf(publication, candidates, input),
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
    tables: tables.map(({ schema, name, status }) => ({ schema, name, copying: status === 'copying' })),
    written: { transactions: 0, changes: 0 },
    logEnd: facts.logEnd,
    warnings,
  };
}

async function requireRoom(session: Session): Promise<void> {
  const { slots, most, may } = await session.one<{ slots: number; most: number; may: boolean }>(
    `SELECT (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS slots,
            current_setting('max_replication_slots')::int AS most,
            (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS may`,
  );
  if (!may) {
    throw new DatakitError(
      'InsufficientPrivilege',
      'The role lacks REPLICATION. Ask an administrator to run: ALTER ROLE … REPLICATION',
    );
  }
  if (slots < most) return;
  throw new DatakitError(
    'UnsupportedServer',
    `All ${most} replication slots of the source are taken: drop one that is not needed, or raise max_replication_slots`,
  );
}

/** @throws {DatakitError} TargetConflict, KeyConflict */
export async function newTables(
  target: Session,
  candidates: readonly Candidate[],
  { source, initialCopy, mirror }: CaptureChangesInput,
): Promise<NewTable[]> {
  const tables: NewTable[] = [];
  for (const { schema, name, key } of candidates) {
    const table = { schema, name };
    const copy = defaultTarget(table);
    if (initialCopy) {
      await requireTarget(target, copy, { source, table });
    }
    if (mirror && initialCopy) requireKey(table, key);
    tables.push({
      ...table,
      key,
      target: initialCopy ? copy : null,
      status: initialCopy ? 'copying' : 'logged',
      mirrored: mirror && initialCopy,
    });
  }
  return tables;
}

/** @throws {DatakitError} KeyConflict if changes could not be applied to a copy */
export function requireKey(table: TableName, key: readonly string[]): void {
  if (key.length > 0) return;
  throw new DatakitError(
    'KeyConflict',
    `${formatTableName(table)} has no primary key that holds at every moment (a deferrable one does not), so that "mirror" cannot find its rows: give it one, leave it out, or go without "mirror"`,
  );
}

/** @throws {DatakitError} PublicationConflict, InsufficientPrivilege with the statement to run */
async function ensurePublication(
  session: Session,
  candidates: readonly Candidate[],
  { publication: name }: CaptureChangesInput,
): Promise<Publication> {
  const found = await findPublication(session, name);
  if (found !== undefined) {
    requirePublished(found, candidates, name);
    return found;
  }
  await makePublication(session, name, candidates);
  const made = await findPublication(session, name);
  if (made === undefined) throw new DatakitError('Unexpected', `the publication "${name}" was not made`);
  return made;
}

function requirePublished(publication: Publication, candidates: readonly Candidate[], name: string): void {
  const published = new Set(publication.tables.map(({ oid }) => oid));
  const missing = candidates.filter(({ oid }) => !published.has(oid)).map(formatTableName);
  if (missing.length > 0) {
    throw new DatakitError(
      'PublicationConflict',
      `The publication "${name}" already exists and does not send ${listed(missing, 5)} under that name`,
    );
  }
  if (publication.missing.length === 0) return;
  throw new DatakitError(
    'PublicationConflict',
    `The publication "${name}" already exists and does not send ${publication.missing.join(' or ')}`,
  );
}

function warningsOf(
  publication: Publication,
  candidates: readonly Candidate[],
  { publication: name }: CaptureChangesInput,
): string[] {
  const wanted = new Set(candidates.map(({ oid }) => oid));
  const others = publication.tables.filter(({ oid }) => !wanted.has(oid)).map(formatTableName);
  if (others.length === 0) return [];
  return [
    `The publication "${name}" also sends ${listed(others, 5)}, which "tables" does not name: their changes are logged, and no copy of them is made.`,
  ];
}

export async function warningsOfHeirs(session: Session, candidates: readonly Candidate[]): Promise<string[]> {
  const heirs = (await findHeirs(session, candidates)).map(formatTableName);
  if (heirs.length === 0) return [];
  return [
    `The rows of ${listed(heirs, 5)} are not captured with the tables that they inherit from: they and their changes come under their own names, where "tables" has those.`,
  ];
}
