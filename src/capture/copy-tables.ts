import { MirrorBatch, type MirrorValue } from '../bronze/cdc/mirror-batch.ts';
import { applyBatch, moveRow, openMirror, prepareMirror, type Mirror } from '../bronze/cdc/mirror.ts';
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
import { planRun, type PlanLimits } from '../extraction/plan-run.ts';
import type { Database } from '../postgres/database.ts';
import {
  findCandidates,
  findPublication,
  type PublishedTable,
} from '../postgres/replication/publications.ts';
import type { Session } from '../postgres/session.ts';
import { readCatalogEntry } from './live-table.ts';
import { requireKey } from './prepare-capture.ts';

/** Changes that are read at once when a copy catches up with the stream. */
const PAGE = 2_000;

/**
 * Plans the copy of a table of a capture: the columns and rows that its publication sends, in types that
 * the text of a change can be read as.
 */
export async function planCopy(
  source: Database,
  warehouse: Session,
  { captureId, table, parallelism }: PlanCopyRequest,
  limits: PlanLimits,
): Promise<ExtractionPlan> {
  const capture = await readCapture(warehouse, captureId);
  const known = await findTableOf(warehouse, capture, table);
  const { published, ...description } = await source.read(limits, async (session) =>
    describe(session, capture, table),
  );
  const input = extractTableInput.parse({
    table: { schema: table.schema, table: table.name },
    source: capture.source,
    target: known.target ?? undefined,
    columns: published.columns,
    parallelism,
    ...(published.where !== null && { where: published.where }),
  });
  const plan = await planRun(source, warehouse, input, limits);
  if (known.mirrored) requireKey(table, description.key);
  await recordDescription(warehouse, captureId, table, description);
  if (!known.mirrored) return plan;
  const sent = plan.columns.map(asChangesSendIt);
  return { ...plan, columns: sent, format: sent.every(({ binary }) => binary) ? 'binary' : 'text' };
}

/** Composites, and names of objects, cannot be had from the text of a change as from a table: both stay texts. */
function asChangesSendIt(column: PlannedColumn): PlannedColumn {
  if (column.read === 'as is' || column.read === 'cast') return column;
  const { catalog: _catalog, ...others } = column;
  return { ...others, type: 'text', decision: 'text', read: 'cast', binary: true };
}

/** The key may be another than at the last copy. */
interface PublishedDescription extends Description {
  readonly published: PublishedTable;
}

async function describe(
  source: Session,
  { publication: name }: Pick<Capture, 'publication'>,
  table: TableName,
): Promise<PublishedDescription> {
  const publication = await findPublication(source, name);
  const published = publication?.tables.find(
    (candidate) => candidate.schema === table.schema && candidate.name === table.name,
  );
  if (published === undefined) {
    throw new DatakitError(
      'PublicationConflict',
      `The publication "${name}" does not send ${formatTableName(table)}`,
    );
  }
  const columns = await source.query<KnownColumn & Record<string, unknown>>(
    `SELECT attname AS name, atttypid AS "typeOid", atttypmod AS modifier, attnum AS number, xmin::text AS version
       FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = ANY ($2) AND attnum > 0 ORDER BY attnum`,
    [published.oid, published.columns],
  );
  const [candidate] = await findCandidates(source, [table]);
  const catalog = (await readCatalogEntry(source, published.oid)) ?? null;
  return { published, columns, key: candidate?.key ?? [], catalog };
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
 * Makes a copy one that changes are applied to: what was logged of it meanwhile is applied first.
 *
 * To be called in a transaction: it holds the position, so that no stream writes until this is done.
 */
export async function finishCopy(
  session: Session,
  { captureId, table, runId }: FinishCopyRequest,
  { deletes, sourceUri }: FinishContext,
): Promise<void> {
  await changeTablesOf(session, captureId);
  const capture = await readCapture(session, captureId);
  const known = await findTableOf(session, capture, table);
  if (known.status === 'live') return;
  if (known.target !== null && known.mirrored) {
    await prepareMirror(session, known.target, known.key);
    const mirror = await openMirror(session, {
      target: known.target,
      key: known.key,
      deletes,
      sourceUri,
      table: known,
      runId: capture.runId,
    });
    await catchUp(session, captureId, known, mirror);
  }
  await forgetCopied(session, captureId, known);
  await recordCopied(session, captureId, known, runId);
}

/** What was logged before the snapshot of the copy is in the copy: each change is there once, in one or the other. */
async function forgetCopied(
  session: Session,
  captureId: string,
  { schema, name, copiedAt }: CaptureTable,
): Promise<void> {
  await session.query(
    `DELETE FROM ${BRONZE}.cdc_changes
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3 AND commit_lsn < $4::pg_lsn`,
    [captureId, schema, name, copiedAt],
  );
}

interface LoggedChange {
  readonly commit: string;
  readonly ordinal: string;
  readonly operation: string;
  /** Values as texts. */
  readonly data: Readonly<Record<string, string | null>> | null;
  readonly old: Readonly<Record<string, string | null>> | null;
}

async function catchUp(
  session: Session,
  captureId: string,
  table: CaptureTable,
  mirror: Mirror,
): Promise<void> {
  let after = { commit: table.copiedAt ?? '0/0', ordinal: '0' };
  for (;;) {
    const changes = await readChanges(session, captureId, table, after);
    await applyLogged(session, table, mirror, changes);
    const last = changes.at(-1);
    if (last === undefined || changes.length < PAGE) return;
    after = last;
  }
}

/** An object with all values as texts, so that no number passes through one of JavaScript. */
const texts = (column: string): string =>
  `CASE WHEN jsonb_typeof(${column}) = 'object' THEN (SELECT json_object_agg(key, value) FROM jsonb_each_text(${column})) END`;

async function readChanges(
  session: Session,
  captureId: string,
  { schema, name }: CaptureTable,
  after: { readonly commit: string; readonly ordinal: string },
): Promise<LoggedChange[]> {
  return session.query<LoggedChange & Record<string, unknown>>(
    `SELECT c.commit_lsn::text AS commit, c.ordinal::text AS ordinal, operation, ${texts('data')} AS data, ${texts('old')} AS old
       FROM ${BRONZE}.cdc_changes AS c
      WHERE capture_id = $1 AND schema = $2 AND "table" = $3 AND (commit_lsn, ordinal) > ($4::pg_lsn, $5::bigint)
      ORDER BY c.commit_lsn, c.ordinal LIMIT ${PAGE}`,
    [captureId, schema, name, after.commit, after.ordinal],
  );
}

/** @throws {DatakitError} PlanOutdated where a column came while the table was copied: the copy lacks it */
function requireKnown(row: LoggedChange['data'], names: readonly string[]): void {
  const unknown = Object.keys(row ?? {}).filter((name) => !names.includes(name));
  if (unknown.length === 0) return;
  throw new DatakitError('PlanOutdated', `Columns came while the table was copied: ${listed(unknown, 5)}`);
}

async function applyLogged(
  session: Session,
  { columns, key }: CaptureTable,
  mirror: Mirror,
  changes: readonly LoggedChange[],
): Promise<void> {
  const names = (columns ?? []).map(({ name }) => name);
  const newBatch = () => new MirrorBatch(names, key.map((name) => names.indexOf(name))); // prettier-ignore
  const values = (row: LoggedChange['data']): MirrorValue[] => {
    requireKnown(row, names);
    return names.map((name) => row?.[name]);
  };
  let batch = newBatch();
  for (const { operation, data, old } of changes) {
    if (operation === 'INSERT') batch.insert(values(data));
    else if (operation === 'DELETE') batch.delete(values(old));
    else if (operation === 'TRUNCATE') batch.truncate();
    else if (!batch.update(values(data), old === null ? undefined : values(old))) {
      await applyBatch(session, mirror, batch);
      await moveRow(session, mirror, batch, { values: values(data), old: values(old) });
      batch = newBatch();
    }
  }
  await applyBatch(session, mirror, batch);
}
