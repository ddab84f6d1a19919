import { DatakitError } from '../contract/failures.ts';
import type { Session } from './session.ts';

export interface RowEstimate {
  readonly rows: number;
  readonly bytes: number;
  /** True if the planner would scan a whole table. */
  readonly scansAll: boolean;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Plan Rows': number;
  readonly 'Plan Width': number;
  readonly Plans?: readonly PlanNode[];
}

/** Returns the planner's estimate for a statement, without executing it. */
export async function estimateRows(session: Session, statement: string): Promise<RowEstimate> {
  const row = await session.one<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
    `EXPLAIN (FORMAT JSON) ${statement}`,
  );
  const plan = row['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) throw new DatakitError('Unexpected', 'the planner returned no plan');
  const { 'Plan Rows': rows, 'Plan Width': width } = plan;
  return { rows, bytes: rows * width, scansAll: hasSequentialScan(plan) };
}

function hasSequentialScan({ 'Node Type': type, Plans: below = [] }: PlanNode): boolean {
  return type === 'Seq Scan' || below.some(hasSequentialScan);
}
