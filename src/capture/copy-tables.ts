import { forgetPartitions } from '../bronze/bookkeeping/partition-records.ts';
import { findShown, keptByCapture, lockTarget } from '../bronze/bookkeeping/targets.ts';
import { openMirror, prepareMirror } from '../bronze/cdc/mirror.ts';
import { changeTablesOf, readCapture, type Capture } from '../bronze/cdc/positions.ts';
import { readTable, recordCopied, recordDescription, type CaptureTable } from '../bronze/cdc/tables.ts';
import { BRONZE } from '../bronze/layout.ts';
import type { ExtractionPlan, PlannedColumn } from '../bronze/plan.ts';
import type { CaptureReference, FinishCopyRequest, PlanCopyRequest } from '../contract/capture-activities.ts';
import { extractTableInput } from '../contract/extract-table.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { namingLocked } from '../extraction/copy/locked-partitions.ts';
import { planAsOf } from '../extraction/plan/plan-in-snapshot.ts';
import type { PlanLimits } from '../extraction/plan/plan-run.ts';
import type { Ask } from '../extraction/ask.ts';
import { Catalog } from '../postgres/catalog/catalog.ts';
import type { Database } from '../postgres/database.ts';
import { parseLsn } from '../postgres/replication/lsn.ts';
import type { Candidate } from '../postgres/replication/candidates.ts';
import { findUnidentified } from '../postgres/replication/replica-identity.ts';
import type { Session } from '../postgres/session.ts';
import { enterSnapshot } from '../postgres/snapshot.ts';
import { catchUp } from './catch-up.ts';
import { changesSinceCopy } from './changes-since-copy.ts';
import { describePublished, type Published } from './describe-published.ts';
import { requireKey } from './begin-capture.ts';
import { requireKeySent } from './require-copyable.ts';

/**
 * Plans the copy of a captured table: the columns and rows that its publication sends, in types that can be
 * read from the text of a change.
 *
 * The plan is made in the snapshot that the rows are read from. A table rewritten since then has a file that
 * looks empty to the snapshot, and columns added since then are missing from logged changes.
 *
 * @param sent how the publication sends tables, as far as that has been read
 * @throws {DatakitError} PublicationConflict, KeyConflict; PlanOutdated if the table was dropped and recreated
 */
export async function planCopy(
  source: Database,
  warehouse: Session,
  { table, parallelism, snapshot, ...reference }: PlanCopyRequest,
  limits: PlanLimits,
  sent?: Published,
): Promise<ExtractionPlan> {
  const capture = await readCapture(warehouse, reference);
  const known = await findTableOf(warehouse, capture, table);
  const ask: Ask = async (work) => source.read(limits, work);
  const planned = async (session: Session) => {
    await enterSnapshot(session, snapshot);
    const { candidate, published, hasHeirs, ...description } = await describePublished(
      session,
      capture,
      table,
      sent,
    );
    if (known.mirrored) {
      requireKeySent(table, candidate.key, published);
      await requireFound(session, candidate);
    }
    const input = extractTableInput.parse({
      table: { schema: table.schema, table: table.name },
      source: capture.source,
      target: known.target ?? undefined,
      ...(published.columns.length > 0 && { columns: published.columns }),
      parallelism,
      ...(published.where !== null && { where: published.where }),
      ...(hasHeirs && { partitions: { names: [formatTableName(table)] } }),
    });
    const catalog = new Catalog(session, source.host);
    const plan = await planAsOf(catalog, warehouse, { input, before: undefined });
    return { description, plan };
  };
  const { description, plan } = await namingLocked(ask, table, async () => ask(planned));
  await recordDescription(warehouse, capture.captureId, table, description);
  if (!known.mirrored) return plan;
  const columns = plan.columns.map(asChangesSendIt);
  return { ...plan, columns, format: columns.every(({ binary }) => binary) ? 'binary' : 'text' };
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

/** Returns whether a table still waits for its copy: whoever asked for it may learn late that it is done. */
export async function isCopyWanted(
  warehouse: Session,
  { table, ...reference }: CaptureReference & Pick<PlanCopyRequest, 'table'>,
): Promise<boolean> {
  const capture = await readCapture(warehouse, reference);
  return (await findTableOf(warehouse, capture, table)).status === 'copying';
}

async function findTableOf(
  warehouse: Session,
  { captureId }: Pick<Capture, 'captureId'>,
  name: TableName,
): Promise<CaptureTable> {
  const table = await readTable(warehouse, captureId, name);
  if (table !== undefined) return table;
  throw new DatakitError('UndefinedObject', `${formatTableName(name)} is not in the capture`);
}

export interface FinishContext {
  readonly deletes: 'hard' | 'soft';
  readonly sourceUri: string;
  readonly readSource: Ask;
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
  { table, runId, copiedAt, ...reference }: FinishCopyRequest,
  { deletes, sourceUri, readSource }: FinishContext,
): Promise<void> {
  const { captureId } = await readCapture(session, reference);
  const { target, status } = await findTableOf(session, { captureId }, table);
  // by an earlier attempt: no lock is waited for
  if (status === 'live') return;
  if (target !== null) await lockTarget(session, target);
  await changeTablesOf(session, captureId);
  const capture = await readCapture(session, reference);
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
    await catchUp(session, captureId, known, mirror, async () => {
      const changes = await readSource(async (source) => changesSinceCopy(source, capture, known));
      requireSame(known, changes);
    });
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
  const reason =
    table.copiedAt === null
      ? 'it had another name for a while since then'
      : `its changes are kept from ${table.copiedAt} on`;
  throw new DatakitError(
    'PlanOutdated',
    `${formatTableName(table)} was copied as of ${copied}, and ${reason}`,
  );
}

/**
 * Refuses a copy if changes logged since do not mean what its columns and its key do.
 *
 * @throws {DatakitError} PlanOutdated
 */
function requireSame(table: CaptureTable, changes: readonly string[]): void {
  if (changes.length === 0) return;
  throw new DatakitError(
    'PlanOutdated',
    `${formatTableName(table)} changed while it was copied: ${changes.join('; ')}`,
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
