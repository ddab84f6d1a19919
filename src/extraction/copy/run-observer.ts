import { observePartitions, observeRun } from '../../bronze/bookkeeping/observe-run.ts';
import type { ExtractionPlan } from '../../bronze/plan.ts';
import { readPlan } from '../../bronze/bookkeeping/plans.ts';
import type { CopiedPartitions, Observed, WatchRequest } from '../../contract/observed.ts';
import type { Session } from '../../postgres/session.ts';
import { labelsOf } from '../partitions/partition-labels.ts';

/** Observes a run repeatedly, reading its plan, which may be large, only once. */
export class RunObserver {
  readonly #request: Pick<WatchRequest, 'runId' | 'partitions'>;
  #planned: { readonly planId: string; readonly plan: ExtractionPlan } | undefined;

  constructor(request: Pick<WatchRequest, 'runId' | 'partitions'>) {
    this.#request = request;
  }

  async look(session: Session): Promise<Observed> {
    const observed = await observeRun(session, this.#request.runId);
    const [table] = observed.tables;
    if (!this.#request.partitions || table === undefined) return observed;
    if (this.#planned?.planId !== table.planId) this.#planned = await readPlan(session, table.planId);
    const partitions = await copiedPartitions(session, this.#planned);
    return { ...observed, ...(partitions !== undefined && { partitions }) };
  }
}

/** Returns what the ledger has of each partition; undefined if there is only one. */
export async function copiedPartitions(
  session: Session,
  { planId, plan }: { readonly planId: string; readonly plan: ExtractionPlan },
): Promise<CopiedPartitions | undefined> {
  const labels = labelsOf(plan);
  if (labels.length < 2) return undefined;
  return observePartitions(
    session,
    planId,
    labels.map(({ chunks }) => chunks),
  );
}
