import type { ExtractTableRequest, ExtractTableResult } from '../../src/contract/extract-table.ts';
import type { IncrementalOutcome } from '../../src/contract/incremental.ts';
import type { Lab } from './lab.ts';

export type IncrementalResult = ExtractTableResult & { readonly incremental: IncrementalOutcome };

/** Runs an extraction that must be incremental. */
export async function extractIncrement(lab: Lab, request: ExtractTableRequest): Promise<IncrementalResult> {
  return asIncremental(await lab.extract(request));
}

export function asIncremental(result: ExtractTableResult): IncrementalResult {
  if (result.incremental === undefined) throw new Error('the run was not incremental');
  return { ...result, incremental: result.incremental };
}

/** Returns the checkpoints of a bronze table, in order. */
export async function checkpointsOf(lab: Lab, target: string): Promise<string[]> {
  const { rows } = await lab.warehouse.query<{ text: string }>(
    `SELECT checkpoint_value || ' ' || status AS text FROM bronze.extraction_checkpoints
      WHERE target = $1 ORDER BY checkpoint_id`,
    [target],
  );
  return rows.map(({ text }) => text);
}
