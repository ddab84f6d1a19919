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
  const [estimate] = await estimateEach(session, [statement]);
  if (estimate === undefined) throw new DatakitError('Unexpected', 'the planner returned no plan');
  return estimate;
}

/** Likewise, for several statements. */
export async function estimateEach(session: Session, statements: readonly string[]): Promise<RowEstimate[]> {
  const explained = await session.queryAll<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
    statements.map((statement) => `EXPLAIN (FORMAT JSON) ${statement}`),
  );
  return explained.flat().flatMap(({ 'QUERY PLAN': plans }) => plans.map(({ Plan }) => estimateOf(Plan)));
}

function estimateOf(plan: PlanNode): RowEstimate {
  const { 'Plan Rows': rows, 'Plan Width': width } = plan;
  return { rows, bytes: rows * width, scansAll: hasSequentialScan(plan) };
}

function hasSequentialScan({ 'Node Type': type, Plans: below = [] }: PlanNode): boolean {
  return type === 'Seq Scan' || below.some(hasSequentialScan);
}
