import type { TableName } from '../../contract/table-name.ts';
import { cursorLiteral, greatestValue, inWarehouse, sqlTypeOf } from '../../postgres/cursor.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { IncrementalPlan } from '../incremental-plan.ts';
import type { StagedFacts } from '../bookkeeping/plans.ts';

/**
 * A transaction takes its start time a moment before others can see that it began, and a value of
 * its own clock is never earlier: this is more than that moment.
 */
const MARGIN = `interval '1 second'`;

/** The clocks that people live by are at most this far ahead of UTC; what is further is in the future. */
const FURTHEST_CLOCK = `interval '14 hours'`;

/** Reads from the rows of the run's snapshot how far it has come. */
export async function readHighWaterMark(
  session: Session,
  staging: TableName,
  plan: IncrementalPlan,
): Promise<StagedFacts> {
  const cursor = inWarehouse(plan.cursor);
  const row = await session.one<{ newest: string | null; nulls: string }>(
    `SELECT (${greatestValue(cursor, staging, plausible(plan))}) AS newest,
            ${plan.nullCursors === null ? countNulls(staging, cursor.column) : String(plan.nullCursors)} AS nulls`,
  );
  const checkpoint = row.newest === null ? plan.checkpoint : await nextCheckpoint(session, plan, row.newest);
  return { checkpoint, nullCursors: Number(row.nulls) };
}

const countNulls = (staging: TableName, column: string): string =>
  `(SELECT count(*) FROM ${quoteTable(staging)} WHERE ${quoteName(column)} IS NULL)`;

/** A time without a zone is by a clock that nobody knows, so that only what no clock shows is left out. */
function plausible({ cursor, limit }: IncrementalPlan): string[] {
  if (!('seenAt' in limit) || (cursor.kind !== 'timestamp' && cursor.kind !== 'date')) return [];
  const now = `${quoteText(limit.seenAt)}::timestamptz AT TIME ZONE 'UTC'`;
  return [`${quoteName(cursor.column)} <= (${now} + ${FURTHEST_CLOCK})`];
}

async function nextCheckpoint(
  session: Session,
  plan: IncrementalPlan,
  newest: string,
): Promise<string | null> {
  if (!plan.moves || plan.limit.kind === 'hold') return plan.checkpoint;
  const cursor = inWarehouse(plan.cursor);
  const type = sqlTypeOf(cursor);
  // of texts one is the greater or the lesser as a cursor compares them: by their bytes
  const collation = cursor.kind === 'text' ? ' COLLATE "C"' : '';
  const before = plan.checkpoint === null ? `NULL::${type}` : cursorLiteral(cursor, plan.checkpoint);
  const after = limited(plan, `${cursorLiteral(cursor, newest)}${collation}`);
  const { value } = await session.one<{ value: string }>(
    `SELECT greatest(${before}${collation}, ${after})::text AS value`,
  );
  return value;
}

/** As SQL: the newest value that was read, or what it must not pass. */
function limited({ cursor, limit }: IncrementalPlan, newest: string): string {
  switch (limit.kind) {
    case 'transaction':
      return behindTransaction(cursor.kind, newest, limit);
    case 'value':
      return `least(${newest}, ${cursorLiteral(cursor, limit.value)})`;
    case 'unseen':
      return cursor.kind === 'timestamptz'
        ? `least(${newest}, ${quoteText(limit.seenAt)}::timestamptz)`
        : newest;
    case 'hold':
      return newest;
  }
}

/**
 * With a zone the start of the oldest transaction can be compared. Without, only spans can: the
 * newest value is not ahead of its clock, so as much behind it as the transaction is old is before its start.
 */
function behindTransaction(
  kind: IncrementalPlan['cursor']['kind'],
  newest: string,
  { seenAt, startedAt }: { readonly seenAt: string; readonly startedAt: string },
): string {
  const started = `${quoteText(startedAt)}::timestamptz`;
  const age = `(${quoteText(seenAt)}::timestamptz - ${started} + ${MARGIN})`;
  if (kind === 'timestamptz') return `least(${newest}, ${started} - ${MARGIN})`;
  if (kind === 'timestamp') return `(${newest} - ${age})`;
  return `(${newest} - ceil(extract(epoch FROM ${age}) / 86400)::int)`;
}
