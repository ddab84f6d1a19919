import { digestsExpression } from '../../bronze/commit/digests.ts';
import { isSent, type ExtractionPlan } from '../../bronze/plan.ts';
import type { Session } from '../../postgres/session.ts';
import type { ChunkRange } from '../plan/chunk-ranges.ts';
import { fromChunk } from './copy-statements.ts';
import { selectExpression } from './select-expression.ts';

/**
 * Digests what the source sends of a chunk, in the transaction that sends it and so over the same rows.
 *
 * @returns one number per column, as text; null if the plan asks for none
 */
export async function digestChunk(
  session: Session,
  plan: ExtractionPlan,
  range: ChunkRange,
): Promise<string[] | null> {
  if (plan.hash === undefined) return null;
  const columns = plan.columns.filter(isSent);
  // without an aggregate the query would return one row per row of the chunk, or none
  if (columns.length === 0) return [];
  const digests = digestsExpression(columns, columns.map(selectExpression), plan.hash);
  const row = await session.one<{ digests: string[] }>(
    `SELECT ${digests}::text[] AS digests ${fromChunk(plan, range)}`,
  );
  return row.digests;
}

/** Combines the digests of two ranges: each is a sum. */
export function addDigests(
  one: readonly string[] | null,
  other: readonly string[] | null,
): readonly string[] | null {
  if (one === null || other === null) return one ?? other;
  return one.map((digest, column) => String(BigInt(digest) + BigInt(other[column] ?? 0)));
}
