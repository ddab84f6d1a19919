import { copyChanges } from '../bronze/cdc/change-rows.ts';
import {
  applyBatch,
  forgetKey,
  moveRow,
  openMirror,
  type DeletePolicy,
  type Mirror,
} from '../bronze/cdc/mirror.ts';
import { compareColumns, followColumns, lostOfKey, type LiveColumn } from '../bronze/cdc/mirror-schema.ts';
import { addWarnings, type Capture } from '../bronze/cdc/positions.ts';
import { addTables, recordColumns, recordCopying, type CaptureTable } from '../bronze/cdc/tables.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { CopyIn } from '../postgres/copy-in.ts';
import { quoteName } from '../postgres/identifiers.ts';
import type { Relation } from '../postgres/replication/pgoutput.ts';
import type { Session } from '../postgres/session.ts';
import type { MirrorStep, Segment } from './change-feed.ts';

/** Of one message of a COPY, which ends at 1 GB. */
const SLICE = 1024 * 1024;

export interface SegmentContext {
  readonly capture: Capture;
  readonly sourceUri: string;
  readonly deletes: DeletePolicy;
  readonly tables: Map<string, CaptureTable>;
  /** Names of types that do not come with the server. */
  readonly types: ReadonlyMap<number, TableName>;
  /** What the catalog of the source has of a table now. */
  readonly readLiveColumns: (table: TableName) => Promise<ReadonlyMap<string, LiveColumn>>;
  /** Copies that were opened since something about them changed. */
  readonly mirrors: Map<string, Mirror>;
  /** Told of a table that has to be copied again, and why. */
  readonly onCopyWanted: (table: TableName, why: string) => void;
}

/** Writes a segment into the log of changes and, where copies are kept, into those. */
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

/** Tables that the publication got without our doing: their changes are logged. */
async function recordRelations(
  session: Session,
  relations: readonly Relation[],
  { capture }: SegmentContext,
): Promise<void> {
  const tables = relations.map(({ schema, name, columns }) => ({
    schema,
    name,
    target: null,
    status: 'logged' as const,
    mirrored: false,
    key: columns.filter(({ isKey }) => isKey).map((column) => column.name),
  }));
  await addTables(session, capture.captureId, tables);
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
  if (table?.target == null || table.status !== 'live') return;
  switch (step.kind) {
    case 'relation':
      return follow(session, id, table, step.relation, context);
    case 'batch':
      return applyBatch(session, await mirrorOf(session, id, table, context), step.batch);
    case 'move':
      return moveRow(session, await mirrorOf(session, id, table, context), step.batch, step);
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
    deletes,
    sourceUri,
    table,
    runId: capture.runId,
  });
  mirrors.set(id, mirror);
  return mirror;
}

async function follow(
  session: Session,
  id: string,
  table: CaptureTable,
  relation: Relation,
  context: SegmentContext,
): Promise<void> {
  const known = table.columns ?? [];
  const { columns } = relation;
  const same =
    known.length === columns.length && columns.every((column, index) => isSame(column, known[index]));
  if (!same) await change(session, id, table, relation, context);
  const now = context.tables.get(id) ?? table;
  const lost = lostOfKey(relation, now.key);
  if (lost.length === 0 || now.status !== 'live') return;
  await forgetKey(session, await mirrorOf(session, id, now, context));
  const reason = `its rows are no longer identified by ${lost.map(quoteName).join(', ')}`;
  await copyAgain(session, id, now, reason, context);
}

function isSame(column: Relation['columns'][number], known: CaptureTableColumn | undefined): boolean {
  return (
    known?.name === column.name && known.typeOid === column.typeOid && known.modifier === column.modifier
  );
}

type CaptureTableColumn = NonNullable<CaptureTable['columns']>[number];

async function change(
  session: Session,
  id: string,
  table: CaptureTable,
  relation: Relation,
  context: SegmentContext,
): Promise<void> {
  const live = await context.readLiveColumns(table);
  const changes = compareColumns(table.columns ?? [], relation, live);
  const { bronze, types: present } = await mirrorOf(session, id, table, context);
  const reason = await followColumns(session, {
    table,
    bronze,
    types: context.types,
    live,
    changes,
    present,
  });
  const names = new Map(changes.renamed.map(({ from, to }) => [from, to]));
  const key = table.key.map((name) => names.get(name) ?? name);
  await recordColumns(session, context.capture.captureId, table, changes.columns, key);
  context.tables.set(id, { ...table, columns: changes.columns, key });
  context.mirrors.delete(id);
  if (reason !== undefined) await copyAgain(session, id, table, reason, context);
}

/** Until it is copied again, changes of the table are only logged; they are applied to the new copy. */
async function copyAgain(
  session: Session,
  id: string,
  table: CaptureTable,
  reason: string,
  { capture, tables, onCopyWanted }: SegmentContext,
): Promise<void> {
  await recordCopying(session, capture.captureId, table);
  tables.set(id, { ...table, status: 'copying' });
  const warning = `${formatTableName(table)} was copied again: ${reason}, and the log of the source does not say what became of the rows from before.`;
  await addWarnings(session, capture.captureId, [warning]);
  onCopyWanted(table, warning);
}

export const tablesById = (tables: readonly CaptureTable[]): Map<string, CaptureTable> =>
  new Map(tables.map((table) => [formatTableName(table), table]));
