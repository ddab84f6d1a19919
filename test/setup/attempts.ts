import type { Lab } from './lab.ts';

/** Returns the chunks of a plan in the ledger, in order, each with the attempt that copied it. */
export async function attemptsOf(lab: Lab, planId: string): Promise<{ chunk: number; attempt: number }[]> {
  const { rows } = await lab.warehouse.query<{ chunk: number; attempt: number }>(
    'SELECT chunk, attempt FROM bronze.extraction_chunks WHERE plan_id = $1 ORDER BY chunk',
    [planId],
  );
  return rows;
}
