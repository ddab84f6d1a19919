import { isDeepStrictEqual } from 'node:util';
import { copyChanges } from '../bronze/cdc/change-rows.ts';
import { applyBatch, moveRow } from '../bronze/cdc/apply-changes.ts';
import { CopyLost, openMirror, type DeletePolicy, type Mirror } from '../bronze/cdc/mirror.ts';
import { compareColumns, type LiveTable } from '../bronze/cdc/compare-columns.ts';
import { followColumns } from '../bronze/cdc/mirror-schema.ts';
import { addWarnings, type Capture } from '../bronze/cdc/positions.ts';
import {
  addTables,
  NAMED_OTHERWISE,
  outdateCopy,
  recordCopying,
  recordDescription,
  type CaptureTable,
  type CatalogEntry,
} from '../bronze/cdc/tables.ts';
import { BRONZE } from '../bronze/layout.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { CopyIn } from '../postgres/copy/copy-in.ts';
import { quoteName } from '../postgres/identifiers.ts';
import type { Relation } from '../postgres/replication/pgoutput.ts';
import { isGone } from '../postgres/server-failure.ts';
import type { Session } from '../postgres/session.ts';
import type { MirrorStep, Segment } from './segment.ts';

/** Bytes of one COPY message, which is limited to 1 GB. */
const SLICE = 1024 * 1024;

export interface SegmentContext {
  readonly capture: Capture;
  readonly sourceUri: string;
  /** That of the source's database. */
  readonly encoding: string;
  readonly deletes: DeletePolicy;
  readonly tables: Map<string, CaptureTable>;
  /** Names of types that are not built in. */
  readonly types: ReadonlyMap<number, TableName>;
  /**
   * Reads what the source's catalog says of a table now, by OID; undefined if it no longer exists.
   *
   * @param known what it said before
   */
  readonly readLiveTable: (oid: number, known: CatalogEntry | null) => Promise<LiveTable | undefined>;
  /** Returns those of the tables that the publication sends now. To find one takes as long as to find thousands. */
  readonly readPublished: (oids: readonly number[]) => Promise<ReadonlySet<number>>;
  /** Copies opened since something about them last changed. */
  readonly mirrors: Map<string, Mirror>;
  /** Called for a table that has to be copied again. */
  readonly onCopyWanted: (table: TableName) => void;
  /** Called with a warning that is kept with the capture. */
  readonly onWarning: (warning: string) => void;
}

/** Writes a segment into the log of changes, and into copies that are maintained. */
export async function writeSegment(
  session: Session,
  segment: Segment,
  context: SegmentContext,
): Promise<void> {
  const { rows, relations, mirror } = segment;
  if (relations.length > 0) await recordRelations(session, relations, context);
  if (rows.count > 0) await copyRows(session, rows.finish(), rows.count);
  for (const [id, steps] of mirror) {
    for (const step of steps) await apply(session, id, step, context);
  }
}

/**
 * Records tables that others added to the publication: their changes are logged. What is still sent of a
 * removed table does not bring it back.
 */
async function recordRelations(
  session: Session,
  relations: readonly Relation[],
  context: SegmentContext,
): Promise<void> {
  const { capture, tables: known } = context;
  const others = relations.filter((relation) => !known.has(formatTableName(relation)));
  if (others.length === 0) return;
  const published = await context.readPublished(others.map(({ oid }) => oid));
  const added: CaptureTable[] = [];
  for (const relation of others) {
    const id = formatTableName(relation);
    if (known.has(id) || !published.has(relation.oid)) continue;
    const table = loggedOnly(relation);
    known.set(id, table);
    added.push(table);
  }
  await addTables(session, capture.captureId, added);
}

const loggedOnly = ({ schema, name, columns }: Relation): CaptureTable => ({
  schema,
  name,
  target: null,
  status: 'logged',
  copiedAt: null,
  logFrom: null,
  addedAt: null,
  mirrored: false,
  key: columns.flatMap((column) => (column.isKey ? [column.name] : [])),
  columns: null,
  catalog: null,
  runId: null,
  membership: null,
});

/** Stops maintaining the copy of a table that now comes under another name. */
async function leaveName(
  session: Session,
  id: string,
  table: CaptureTable,
  to: string,
  context: SegmentContext,
): Promise<void> {
  if (table.catalog === null || table.catalog.oid === NAMED_OTHERWISE) return;
  const catalog = { ...table.catalog, oid: NAMED_OTHERWISE };
  const description = { columns: table.columns ?? [], key: table.key, catalog };
  await recordDescription(session, context.capture.captureId, table, description);
  context.tables.set(id, { ...table, ...description });
  const isKept = context.tables.get(to)?.target != null;
  await warn(session, isKept ? keptAs(to, id) : keptNoMore(to, id), context);
}

const keptAs = (to: string, id: string): string =>
  `${id} is called ${to} in the source now, whose copy has its changes. The copy of ${id} stays as it is, and is made again once a table of that name changes.`;

const keptNoMore = (to: string, id: string): string =>
  `${id} is called ${to} in the source now: its changes are logged under that name, and its copy stays as it is. To have it copied and kept, remove ${id} with removeTables and add ${to} with addTables.`;

async function warn(
  session: Session,
  warning: string,
  { capture, onWarning }: SegmentContext,
): Promise<void> {
  await addWarnings(session, capture.captureId, [warning]);
  onWarning(warning);
}

async function copyRows(session: Session, bytes: Buffer, count: number): Promise<void> {
  const taken = await session.copy(new CopyIn(copyChanges), async (copy) => {
    await copy.ready;
    for (let from = 0; from < bytes.length; from += SLICE) {
      copy.write(bytes.subarray(from, from + SLICE), () => undefined);
    }
    copy.end();
    return copy.rows;
  });
  if (taken === count) return;
  throw new DatakitError('CountMismatch', `The warehouse took ${taken} of ${count} changes`);
}

async function apply(session: Session, id: string, step: MirrorStep, context: SegmentContext): Promise<void> {
  const table = context.tables.get(id);
  if (table?.target == null) return;
  if (table.status === 'copying' && step.kind === 'renamed')
    return outdateCopy(session, context.capture.captureId, table, step.commitLsn);
  if (table.status !== 'live') return;
  const wasOpen = context.mirrors.has(id);
  try {
    await applyStep(session, id, table, step, context);
  } catch (error) {
    if (error instanceof CopyLost) return copyAgain(session, id, table, error.message, context);
    // somebody dropped the copy, or a column of it: the next attempt opens it, and finds what is missing
    if (wasOpen && isGone(error)) throw lostMeanwhile(table.target, error);
    throw error;
  }
}

const lostMeanwhile = (target: string, cause: unknown): DatakitError =>
  new DatakitError(
    'SerializationFailure',
    `Changes could not be applied to ${BRONZE}.${target}: somebody changed it meanwhile`,
    { cause },
  );

async function applyStep(
  session: Session,
  id: string,
  table: CaptureTable,
  step: MirrorStep,
  context: SegmentContext,
): Promise<void> {
  switch (step.kind) {
    case 'relation':
      return follow(session, id, table, step, context);
    case 'renamed':
      return leaveName(session, id, table, step.to, context);
    case 'unknown row':
      return copyAgain(session, id, table, step.reason, context);
    case 'batch':
      return applyBatch(session, await mirrorOf(session, id, table, context), step.batch);
    case 'move':
      return moveRow(session, await mirrorOf(session, id, table, context), step.columns, step.move);
  }
}

export async function mirrorOf(
  session: Session,
  id: string,
  table: CaptureTable,
  { capture, sourceUri, deletes, mirrors }: SegmentContext,
): Promise<Mirror> {
  const open = mirrors.get(id);
  if (open !== undefined) return open;
  const mirror = await openMirror(session, {
    target: table.target ?? '',
    key: table.key,
    columns: (table.columns ?? []).map(({ name }) => name),
    deletes,
    sourceUri,
    table,
    runId: capture.runId,
  });
  mirrors.set(id, mirror);
  return mirror;
}

type Described = Extract<MirrorStep, { kind: 'relation' }>;

/** Follows the stream's description of a table, sent before its changes; it may be another table of that name. */
async function follow(
  session: Session,
  id: string,
  table: CaptureTable,
  step: Described,
  context: SegmentContext,
): Promise<void> {
  const { relation } = step;
  if (table.catalog !== null && table.catalog.oid !== relation.oid) {
    const cameBack = table.catalog.oid === NAMED_OTHERWISE;
    const reason = cameBack ? 'it had another name for a while' : 'another table has its name now';
    return copyAgain(session, id, table, reason, context);
  }
  const reasons = await change(session, id, table, relation, context);
  const now = context.tables.get(id) ?? table;
  const lost = lostOfKey(step, now.key);
  const joined = joinedKey(relation, now.key);
  if (lost.length > 0) reasons.push(`its rows are no longer identified by ${lost.map(quoteName).join(', ')}`);
  else if (joined.length > 0)
    reasons.push(`its rows are identified by ${joined.map(quoteName).join(', ')} too now`);
  if (reasons.length > 0) await copyAgain(session, id, now, reasons.join('; '), context);
}

/** Returns key columns that no longer identify rows in the source, or that the stream was not decoded with. */
function lostOfKey({ relation, key: indexes }: Described, key: readonly string[]): string[] {
  return key.filter((name, place) => {
    const column = relation.columns[indexes[place] ?? -1];
    return column?.name !== name || !column.isKey;
  });
}

/** Returns columns without which the key no longer tells rows apart. With REPLICA IDENTITY FULL nothing says so. */
function joinedKey({ columns, replicaIdentity }: Relation, key: readonly string[]): string[] {
  if (replicaIdentity === 'f') return [];
  return columns.flatMap(({ name, isKey }) => (isKey && !key.includes(name) ? [name] : []));
}

/** @returns why the table must be copied again; empty if it need not */
async function change(
  session: Session,
  id: string,
  table: CaptureTable,
  relation: Relation,
  context: SegmentContext,
): Promise<string[]> {
  const changes = compareColumns(table, relation, await context.readLiveTable(relation.oid, table.catalog));
  const { columns, catalog, doubts } = changes;
  const { columns: known, catalog: knownEntry } = table;
  if (doubts.length === 0 && isDeepStrictEqual([columns, catalog], [known, knownEntry])) return [];
  const { types, encoding } = context;
  const { bronze, types: present } = await mirrorOf(session, id, table, context);
  const reasons = await followColumns(session, { bronze, types, encoding, changes, present });
  context.mirrors.delete(id);
  const names = new Map(changes.renamed.map(({ from, to }) => [from, to]));
  const key = table.key.map((name) => names.get(name) ?? name);
  await recordDescription(session, context.capture.captureId, table, { columns, key, catalog });
  context.tables.set(id, { ...table, columns, key, catalog });
  return reasons;
}

/** Has a table copied again. Until then its changes are only logged; they are applied to the new copy. */
async function copyAgain(
  session: Session,
  id: string,
  table: CaptureTable,
  reason: string,
  context: SegmentContext,
): Promise<void> {
  const { capture, tables, deletes, onCopyWanted } = context;
  await recordCopying(session, capture.captureId, table);
  tables.set(id, { ...table, status: 'copying' });
  const warning = `${id} was copied again: ${reason}, and the log of the source does not say what became of the rows from before.${deletes === 'soft' ? ' Rows that were marked as deleted are no longer in it.' : ''}`;
  await warn(session, warning, context);
  onCopyWanted(table);
}

export const tablesById = (tables: readonly CaptureTable[]): Map<string, CaptureTable> =>
  new Map(tables.map((table) => [formatTableName(table), table]));
