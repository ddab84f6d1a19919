import { DatakitError } from '../../contract/failures.ts';
import { utf8Length, type TableName } from '../../contract/table-name.ts';
import { cursorLiteral, greatestValue, inWarehouse, sqlTypeOf } from '../../postgres/cursor.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { IncrementalPlan } from '../incremental-plan.ts';
import { lagsBehind } from '../bookkeeping/ledger.ts';
import type { StagedFacts, StoredPlan } from '../bookkeeping/plans.ts';

/**
 * Longer than the moment between a transaction taking its start time and others seeing that it began. Values of its
 * own clock are never earlier than that start.
 */
const MARGIN = `interval '1 second'`;

/** Local clocks are at most this far ahead of UTC; anything beyond is in the future. */
const FURTHEST_CLOCK = `interval '14 hours'`;

/** Computes the next checkpoint from the rows of the run's snapshot, and counts those without a cursor value. */
export async function readHighWaterMark(
  session: Session,
  { planId, staging }: Pick<StoredPlan, 'planId' | 'staging'>,
  plan: IncrementalPlan,
): Promise<StagedFacts> {
  const cursor = inWarehouse(plan.cursor);
  const row = await session.one<{ newest: string | null; nulls: string; lags: boolean }>(
    `SELECT (${greatestValue(cursor, [staging], plausible(plan))}) AS newest,
            ${plan.nullCursors === null ? countNulls(staging, cursor.column) : String(plan.nullCursors)} AS nulls,
            ${lagsBehindLimit(planId, plan)} AS lags`,
  );
  const { newest, lags } = row;
  if (newest !== null) requireModest(newest, plan);
  const checkpoint = newest === null || lags ? plan.checkpoint : await nextCheckpoint(session, plan, newest);
  return { checkpoint, nullCursors: Number(row.nulls), ...(lags && { lags }) };
}

/** Returns SQL for whether the rows may lack what was seen to end when the limit was found. */
function lagsBehindLimit(planId: string, { limit }: IncrementalPlan): string {
  if (!('logEnd' in limit) || limit.logEnd === undefined) return 'false';
  return lagsBehind(`${quoteText(planId)}::bigint`, `${quoteText(limit.logEnd)}::pg_lsn`);
}

/** Bytes. The result has up to three values of the cursor, and Temporal takes 2 MB; the longest number has 150 kB. */
const LONGEST_CHECKPOINT = 256 * 1024;

function requireModest(newest: string, { cursor }: IncrementalPlan): void {
  const bytes = utf8Length(newest);
  if (bytes <= LONGEST_CHECKPOINT) return;
  throw new DatakitError(
    'UnsupportedTable',
    `The greatest value of "${cursor.column}" has ${bytes} bytes: a checkpoint has at most ${LONGEST_CHECKPOINT}`,
    { advice: 'Name another column in "incremental", or extract all rows.' },
  );
}

const countNulls = (staging: TableName, column: string): string =>
  `(SELECT count(*) FROM ${quoteTable(staging)} WHERE ${quoteName(column)} IS NULL)`;

/** Excludes only what no clock shows yet: a time without a zone comes from an unknown clock. */
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
  // text cursors compare by their bytes
  const collation = cursor.kind === 'text' ? ' COLLATE "C"' : '';
  const before = plan.checkpoint === null ? `NULL::${type}` : cursorLiteral(cursor, plan.checkpoint);
  const after = limited(plan, `${cursorLiteral(cursor, newest)}${collation}`);
  const { value } = await session.one<{ value: string }>(
    `SELECT greatest(${before}${collation}, ${after})::text AS value`,
  );
  return value;
}

/** Returns SQL for the newest value that was read, capped at what it must not pass. */
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
 * Returns SQL for a value before the start of the oldest transaction. With a zone the start itself can be compared.
 * Without one only durations can: the newest value is not ahead of its clock, so subtracting the transaction's age
 * yields a time before its start.
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
