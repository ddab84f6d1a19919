import { uuid4 } from '@temporalio/workflow';
import { referenceOf, type TableRun } from '../contract/capture-activities.ts';
import { listed } from '../contract/listed.ts';
import { partOf } from '../contract/run-parts.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { copySmallTables } from './activities.ts';
import type { CaptureOfCopies, MomentOfCopies } from './copy-captured-table.ts';
import type { Fanout } from './copy-plan.ts';

/** Most tables of an activity: the last one to end leaves others idle, and its result may be lost. */
const MOST_OF_A_PACK = 25;
/** For each place in the window, so that all places are busy until the end. */
const PACKS = 4;

/**
 * Copies those tables of a capture that are small, in packs that share an activity, as many at once as the input says.
 *
 * @param onCopied called for tables that were copied, with what readers of the copies should know
 * @returns the tables that are left, in order
 */
export async function copySmall(
  fanout: Fanout,
  capture: CaptureOfCopies,
  tables: readonly TableName[],
  moment: MomentOfCopies,
  onCopied: (tables: readonly TableName[], warnings: readonly string[]) => void,
): Promise<readonly TableName[]> {
  const small = new Set<TableName>();
  await fanout.window.forEach(packsOf(tables, capture.input.parallelism), async (pack) => {
    for (let left = pack; left.length > 0;) {
      await fanout.gate.opened();
      const tried = await copyPack(capture, left, moment);
      const copied = left.filter((_, index) => tried[index]?.outcome === 'copied');
      for (const table of copied) small.add(table);
      for (const one of tried) fanout.progress.copied(one, 0);
      onCopied(
        copied,
        tried.flatMap(({ warnings }) => warnings),
      );
      left = left.slice(tried.length);
    }
  });
  return tables.filter((table) => !small.has(table));
}

async function copyPack(
  { captureId, input, run: whole }: CaptureOfCopies,
  pack: readonly TableName[],
  { lender, copiedAt }: MomentOfCopies,
): ReturnType<typeof copySmallTables> {
  const { parallelism, deletes } = input;
  const { workflowId, runId } = whole;
  const tables = pack.map(({ schema, name }): TableRun => ({ schema, name, runId: partOf(runId, uuid4()) }));
  const summary = listed(pack.map(formatTableName), 1);
  const request = { workflowId, ...referenceOf(captureId, input), tables, parallelism, deletes };
  return lender.lend(async (snapshot) =>
    copySmallTables.executeWithOptions({ summary }, [
      { ...request, snapshot, ...(copiedAt !== undefined && { copiedAt }) },
    ]),
  );
}

function* packsOf(tables: readonly TableName[], parallelism: number): Generator<readonly TableName[]> {
  const length = Math.min(MOST_OF_A_PACK, Math.ceil(tables.length / (parallelism * PACKS)));
  for (let from = 0; from < tables.length; from += length) yield tables.slice(from, from + length);
}
