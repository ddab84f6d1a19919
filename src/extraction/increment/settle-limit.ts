import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckpointLimit } from '../../bronze/incremental-plan.ts';
import type { ExtractionPlan } from '../../bronze/plan.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { readWriters, withAncestors, type Writers } from '../../postgres/oldest-transaction.ts';
import type { Ask } from '../ask.ts';
import { lateRowWarning } from './late-row-warnings.ts';

/** Milliseconds. Short transactions end within it; for longer ones the checkpoint does not advance. */
const PATIENCE = 2_000;
const PAUSE = 25;

/**
 * Confirms the greatest cursor value that the plan saw as its limit: transactions that were writing then may still
 * commit smaller values, so they are waited for. If they take too long, the checkpoint stays where it is; a first
 * run, which has no checkpoint yet, relies on the lookback.
 */
export async function settleLimit(
  plan: ExtractionPlan,
  input: ExtractTableInput,
  ask: Ask,
): Promise<ExtractionPlan> {
  const { incremental, table } = plan;
  if (incremental?.limit.kind !== 'value') return plan;
  const { cursor, limit, checkpoint } = incremental;
  const { logEnd, ended } = await awaitWriters(
    ask,
    plan.partitions.map(({ oid }) => oid),
  );
  if (ended) return logEnd === null ? plan : withLimit(plan, { ...incremental.limit, logEnd });
  const { doubt } = limit;
  if (checkpoint !== null) return withLimit(plan, { kind: 'hold', ...(doubt !== undefined && { doubt }) });
  const { now } = await ask(async (source) => source.one<{ now: string }>('SELECT now()::text AS now'));
  const unseen = withLimit(plan, { kind: 'unseen', seenAt: now, doubt: doubt ?? 'writers' });
  // the plan already warns why a lookback is needed
  if (doubt !== undefined) return unseen;
  const warning = lateRowWarning('writers', { table, cursor, lookback: input.incremental?.lookback });
  return { ...unseen, warnings: [...plan.warnings, warning] };
}

function withLimit(plan: ExtractionPlan, limit: CheckpointLimit): ExtractionPlan {
  return plan.incremental === undefined ? plan : { ...plan, incremental: { ...plan.incremental, limit } };
}

/** Waits until the transactions that are writing now have ended, but not for long. */
async function awaitWriters(
  ask: Ask,
  partitions: readonly number[],
): Promise<Pick<Writers, 'logEnd'> & { readonly ended: boolean }> {
  const tables = await ask(async (source) => withAncestors(source, partitions));
  let { transactions: left, logEnd } = await ask(async (source) => readWriters(source, tables));
  const deadline = performance.now() + PATIENCE;
  while (left.length > 0) {
    if (performance.now() > deadline) return { logEnd, ended: false };
    await sleep(PAUSE);
    const now = await ask(async (source) => readWriters(source, tables));
    const writing = new Set(now.transactions);
    left = left.filter((transaction) => writing.has(transaction));
    ({ logEnd } = now);
  }
  return { logEnd, ended: true };
}
