import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities } from '../../src/activities/create-activities.ts';
import type { Activities } from '../../src/contract/activities.ts';
import type { Copied } from '../../src/contract/chunks.ts';
import type { PlanSummary } from '../../src/contract/plan-summary.ts';
import type { CommitResult } from '../../src/contract/run-outcome.ts';
import { extractTableInput, type ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { connectDatabases, type ConnectedDatabases } from '../../src/runtime/connect-databases.ts';
import type { Lab, Told } from './lab.ts';
import { remember } from './secrets.ts';

const logger = new DefaultLogger('ERROR', () => undefined);

/** A run by hand, step by step, so that a test decides what happens in between. */
export class Steps implements AsyncDisposable {
  readonly runId = randomUUID();
  /** One of its own by default: nobody answers to runs of the same namespace whether this one is under way. */
  readonly namespace: string;
  readonly #databases: ConnectedDatabases;
  readonly #activities: Omit<Activities, 'holdSnapshot' | 'watchProgress'>;

  /** @param stopping set if the worker was asked to stop */
  constructor(
    lab: Lab,
    { stopping, namespace, ...told }: Told & { readonly stopping?: true; readonly namespace?: string } = {},
  ) {
    this.namespace = namespace ?? `steps of ${this.runId}`;
    this.#databases = connectDatabases(lab.configuration(told));
    this.#activities = createActivities({ ...this.#databases, ...(stopping && { isStopping: () => true }) });
  }

  /** @param attempt number of the attempt in Temporal, here and below */
  async plan(request: ExtractTableRequest, attempt = 1): Promise<PlanSummary> {
    return this.#run(this.#activities.planExtraction, this.#planned(request), attempt);
  }

  /** Plans like `extractTable`, together with everything that can be done in the same activity. */
  async planAndFinish(request: ExtractTableRequest, attempt = 1): Promise<PlanSummary> {
    return this.#run(
      this.#activities.planExtraction,
      { ...this.#planned(request), mayFinish: true },
      attempt,
    );
  }

  async copy({ planId, runId }: PlanSummary, from: number, count = 1, attempt = 1): Promise<Copied> {
    return this.#run(
      this.#activities.copyChunks,
      { planId, ...(runId !== undefined && { runId }), from, count },
      attempt,
    );
  }

  async commit({ planId }: PlanSummary, attempt = 1): Promise<CommitResult> {
    return this.#run(this.#activities.commitBronze, { planId, runId: this.runId }, attempt);
  }

  /** @param request given for a table of a run of many tables, which is known by the id of this one */
  async discard(request?: ExtractTableRequest): Promise<void> {
    const outcome = { status: 'failed', message: 'by hand' } as const;
    return this.#run(this.#activities.discardStaging, {
      runId: this.runId,
      workflowId: 'by hand',
      outcome,
      ...(request !== undefined && {
        member: { databaseRunId: this.runId, input: extractTableInput.parse(request) },
      }),
    });
  }

  /** Plans and copies: everything but the commit. */
  async load(request: ExtractTableRequest): Promise<PlanSummary> {
    const plan = await this.plan(request);
    await this.copy(plan, 0, plan.chunks);
    return plan;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#databases.close();
  }

  #planned(request: ExtractTableRequest) {
    return { runId: this.runId, workflowId: 'by hand', input: extractTableInput.parse(request) };
  }

  /** Runs an activity in its own environment: they run concurrently, as on workers. */
  async #run<Request, Result>(
    activity: (request: Request) => Promise<Result>,
    request: Request,
    attempt = 1,
  ): Promise<Result> {
    try {
      const info = { namespace: this.namespace, attempt };
      return await new MockActivityEnvironment(info, { logger }).run(activity, request);
    } catch (error) {
      remember(String(error));
      throw error;
    }
  }
}
