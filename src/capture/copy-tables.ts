import { forgetPartitions } from '../bronze/bookkeeping/partition-records.ts';
import { findShown, keptByCapture, lockTarget } from '../bronze/bookkeeping/targets.ts';
import { openMirror, prepareMirror } from '../bronze/cdc/mirror.ts';
import { changeTablesOf, readCapture, type Capture } from '../bronze/cdc/positions.ts';
import {
  readTables,
  recordCopied,
  recordDescription,
  type CaptureTable,
  type Description,
  type KnownColumn,
} from '../bronze/cdc/tables.ts';
import { BRONZE } from '../bronze/layout.ts';
import type { ExtractionPlan, PlannedColumn } from '../bronze/plan.ts';
import type { FinishCopyRequest, PlanCopyRequest } from '../contract/capture-activities.ts';
import { extractTableInput } from '../contract/extract-table.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { namingLocked } from '../extraction/copy/locked-partitions.ts';
import { planAsOf } from '../extraction/plan/plan-in-snapshot.ts';
import type { PlanLimits } from '../extraction/plan/plan-run.ts';
import type { Ask } from '../extraction/increment/settle-limit.ts';
import { Catalog } from '../postgres/catalog/catalog.ts';
import type { Database } from '../postgres/database.ts';
import { quoteTable } from '../postgres/identifiers.ts';
import { parseLsn } from '../postgres/replication/lsn.ts';
import {
  findCandidates,
  findHeirs,
  findPublication,
  type Candidate,
  type PublishedTable,
} from '../postgres/replication/publications.ts';
import { findUnidentified } from '../postgres/replication/replica-identity.ts';
import type { Session } from '../postgres/session.ts';
import { enterSnapshot } from '../postgres/snapshot.ts';
import { catchUp } from './catch-up.ts';
import { partsOf, readCatalogEntry } from './live-table.ts';
import { requireKey } from './begin-capture.ts';

/**
 * Plans the copy of a captured table: the columns and rows that its publication sends, in types that can be
 * read from the text of a change.
 *
 * The plan is made in the snapshot that the rows are read from. A table rewritten since then has a file that
 * looks empty to the snapshot, and columns added since then are missing from logged changes.
 *
 * @throws {DatakitError} PublicationConflict, KeyConflict; PlanOutdated if the table was dropped and recreated
 */
export async function planCopy(
  source: Database,
  warehouse: Session,
  { captureId, table, parallelism, snapshot }: PlanCopyRequest,
  limits: PlanLimits,
): Promise<ExtractionPlan> {
  const capture = await readCapture(warehouse, captureId);
  const known = await findTableOf(warehouse, capture, table);
  const ask: Ask = async (work) => source.read(limits, work);
  const planned = async (session: Session) => {
    await enterSnapshot(session, snapshot);
    const { candidate, published, hasHeirs, ...description } = await describe(session, capture, table);
    if (known.mirrored) await requireFound(session, candidate);
    const input = extractTableInput.parse({
      table: { schema: table.schema, table: table.name },
      source: capture.source,
      target: known.target ?? undefined,
      columns: published.columns,
      parallelism,
      ...(published.where !== null && { where: published.where }),
      ...(hasHeirs && { partitions: { names: [formatTableName(table)] } }),
    });
    const catalog = new Catalog(session, source.host);
    const plan = await planAsOf(catalog, warehouse, { input, before: undefined });
    return { description, plan };
  };
  const { description, plan } = await namingLocked(ask, table, async () => ask(planned));
  await recordDescription(warehouse, captureId, table, description);
  if (!known.mirrored) return plan;
  const sent = plan.columns.map(asChangesSendIt);
  return { ...plan, columns: sent, format: sent.every(({ binary }) => binary) ? 'binary' : 'text' };
}

/** Composites and names of objects cannot be read from the text of a change as from a table: both stay text. */
function asChangesSendIt(column: PlannedColumn): PlannedColumn {
  if (column.read === 'as is' || column.read === 'cast') return column;
  const { catalog: _catalog, ...others } = column;
  return { ...others, type: 'text', decision: 'text', read: 'cast', binary: true };
}

/** @throws {DatakitError} KeyConflict if the rows of changes could not be found in the copy */
async function requireFound(source: Session, table: Candidate): Promise<void> {
  requireKey(table, table.key);
  const others = await findUnidentified(source, [table]);
  if (others.length === 0) return;
  throw new DatakitError(
    'KeyConflict',
    `${listed(others.map(formatTableName), 5)} identifies rows by other columns than ${formatTableName(table)}, so that "mirror" cannot find them: give each partition the same REPLICA IDENTITY`,
  );
}

/** The key may differ from that of the last copy. */
interface PublishedDescription extends Description {
  readonly candidate: Candidate;
  readonly published: PublishedTable;
  /** True if tables inherit from it, whose rows come under their own names. */
  readonly hasHeirs: boolean;
}

async function describe(
  source: Session,
  { publication: name }: Pick<Capture, 'publication'>,
  table: TableName,
): Promise<PublishedDescription> {
  const publication = await findPublication(source, name);
  const [candidate] = await findCandidates(source, [table]);
  const published = publication?.tables.find(({ oid }) => oid === candidate?.oid);
  if (published === undefined || candidate === undefined) {
    await requireSameTable(source, table, candidate?.oid);
    throw new DatakitError(
      'PublicationConflict',
      `The publication "${name}" does not send ${formatTableName(table)}`,
    );
  }
  const columns = await source.query<KnownColumn & { parts: KnownColumn['parts'] | null }>(
    `SELECT attname AS name, atttypid AS "typeOid", atttypmod AS modifier, attnum AS number, xmin::text AS version,
            ${partsOf('atttypid')} AS parts
       FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = ANY ($2) AND attnum > 0 ORDER BY attnum`,
    [published.oid, published.columns],
  );
  const catalog = (await readCatalogEntry(source, published.oid)) ?? null;
  const heirs = await findHeirs(source, [candidate]);
  return {
    candidate,
    published,
    columns: columns.map(({ parts, ...column }) => ({ ...column, ...(parts !== null && { parts }) })),
    key: candidate.key,
    catalog,
    membership: published.membership,
    hasHeirs: heirs.length > 0,
  };
}

/** What a publication sends is reported as of now, even to a transaction whose snapshot has an earlier table. */
async function requireSameTable(source: Session, table: TableName, oid: number | undefined): Promise<void> {
  const { now } = await source.one<{ now: number | null }>('SELECT to_regclass($1)::oid AS now', [
    quoteTable(table),
  ]);
  if (now === null || now === oid) return;
  throw new DatakitError('PlanOutdated', `${formatTableName(table)} is another table than in the snapshot`);
}

/** Returns whether a table still waits for its copy: whoever asked for it may learn late that it is done. */
export async function isCopyWanted(
  warehouse: Session,
  { captureId, table }: Pick<PlanCopyRequest, 'captureId' | 'table'>,
): Promise<boolean> {
  return (await findTableOf(warehouse, { captureId }, table)).status === 'copying';
}

async function findTableOf(
  warehouse: Session,
  { captureId }: Pick<Capture, 'captureId'>,
  { schema, name }: { readonly schema: string; readonly name: string },
): Promise<CaptureTable> {
  const tables = await readTables(warehouse, captureId);
  const table = tables.find((one) => one.schema === schema && one.name === name);
  if (table !== undefined) return table;
  throw new DatakitError('UndefinedObject', `${formatTableName({ schema, name })} is not in the capture`);
}

export interface FinishContext {
  readonly deletes: 'hard' | 'soft';
  readonly sourceUri: string;
}

/**
 * Turns a copy into one that changes are applied to, after applying what was logged in the meantime.
 *
 * Must be called in a transaction: it locks the position, so that no stream writes until this is done, and before that
 * the target, so that no stream waits for a run that is writing there.
 *
 * @throws {DatakitError} PlanOutdated if the table has to be copied again
 */
export async function finishCopy(
  session: Session,
  { captureId, table, runId, copiedAt }: FinishCopyRequest,
  { deletes, sourceUri }: FinishContext,
): Promise<void> {
  const { target } = await findTableOf(session, { captureId }, table);
  if (target !== null) await lockTarget(session, target);
  await changeTablesOf(session, captureId);
  const capture = await readCapture(session, captureId);
  const known = await findTableOf(session, capture, table);
  if (known.status === 'live') return;
  requireSnapshot(known, copiedAt);
  if (known.target !== null && known.mirrored) {
    await requireRowsOf(runId, session, known.target);
    await prepareMirror(session, known.target, known.key);
    const mirror = await openMirror(session, {
      target: known.target,
      key: known.key,
      columns: (known.columns ?? []).map(({ name }) => name),
      deletes,
      sourceUri,
      table: known,
      runId: capture.runId,
    });
    await catchUp(session, captureId, known, mirror);
    // changes do not say which partition they are of
    await forgetPartitions(session, [known.target]);
  }
  await forgetCopied(session, captureId, known);
  await recordCopied(session, captureId, known, runId);
}

/**
 * Refuses a copy of another snapshot than the recorded one: a holder that was given up but made its slot all
 * the same may have recorded a later one. Streams have since left out what lies between.
 *
 * @throws {DatakitError} PlanOutdated
 */
function requireSnapshot(table: CaptureTable, copied: string | undefined): void {
  if (copied === undefined) return;
  if (table.copiedAt !== null && parseLsn(table.copiedAt) === parseLsn(copied)) return;
  throw new DatakitError(
    'PlanOutdated',
    `${formatTableName(table)} was copied as of ${copied}, and its changes are kept from ${table.copiedAt} on`,
  );
}

/**
 * Refuses rows of another run: until the copy is recorded as one that is kept, any run may replace it.
 *
 * @throws {DatakitError} PlanOutdated; TargetConflict if another capture keeps it by now
 */
async function requireRowsOf(runId: string, session: Session, target: string): Promise<void> {
  const shown = await findShown(session, target);
  if (shown !== undefined && shown.slot !== null) throw keptByCapture(target, shown.slot);
  if (shown?.runId === runId) return;
  throw new DatakitError(
    'PlanOutdated',
    `${BRONZE}.${target} was loaded by another run before changes could be applied to its copy`,
  );
}

/**
 * Drops changes logged between the addition of a table and the snapshot of its first copy: the copy has them, and each
 * change must be there once. A copy that is made again leaves the log as it is.
 */
async function forgetCopied(
  session: Session,
  captureId: string,
  { schema, name, runId, logFrom, addedAt }: CaptureTable,
): Promise<void> {
  if (runId !== null || logFrom === null) return;
  await session.query(
    `DELETE FROM ${BRONZE}.cdc_changes
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3 AND commit_lsn >= $4::pg_lsn AND commit_lsn < $5::pg_lsn`,
    [captureId, schema, name, addedAt ?? '0/0', logFrom],
  );
}
