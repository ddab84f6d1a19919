import type { Client, WorkflowHandle } from '@temporalio/client';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { PROGRESS_QUERY, type Progress } from '../src/contract/progress.ts';
import { reasonOf } from './failure-reason.ts';
import type { Ending, RunView } from './run-view.ts';

/** The signature of the workflow, whose implementation is in src/workflows. */
type ExtractTable = (input: ExtractTableRequest) => Promise<ExtractTableResult>;

/** A worker busy with something else must not hold up the progress of the other runs. */
const QUERY_WITHIN_MS = 2_000;

export const workflowId = (table: string) => `demo-${table}`;

/** One extraction, seen from a client. */
export class Run {
  readonly table: string;
  /** Never rejects: a failed run has ended too. */
  readonly ended: Promise<Ending>;
  readonly #client: Client;
  readonly #handle: WorkflowHandle<ExtractTable>;
  #progress: Progress | undefined;
  #ending: Ending | undefined;

  private constructor(client: Client, table: string, handle: WorkflowHandle<ExtractTable>) {
    this.table = table;
    this.#client = client;
    this.#handle = handle;
    this.ended = this.#end();
  }

  static async start(client: Client, taskQueue: string, table: string): Promise<Run> {
    const handle = await client.workflow.start<ExtractTable>('extractTable', {
      taskQueue,
      workflowId: workflowId(table),
      args: [{ table }],
    });
    return new Run(client, table, handle);
  }

  get view(): RunView {
    return { table: this.table, progress: this.#progress, ending: this.#ending };
  }

  /** Queries the progress; without an answer the last known one stays. */
  async ask(): Promise<void> {
    if (this.#ending !== undefined) return;
    const query = () => this.#handle.query<Progress>(PROGRESS_QUERY);
    const answer = await this.#client
      .withDeadline(Date.now() + QUERY_WITHIN_MS, query)
      .catch(() => undefined);
    this.#progress = answer ?? this.#progress;
  }

  async #end(): Promise<Ending> {
    try {
      const result = await this.#handle.result();
      this.#ending = { kind: 'finished', result, milliseconds: await this.#milliseconds() };
    } catch (error) {
      this.#ending = { kind: 'failed', reason: reasonOf(error) };
    }
    return this.#ending;
  }

  async #milliseconds(): Promise<number> {
    const { startTime, closeTime } = await this.#handle.describe();
    return (closeTime ?? new Date()).getTime() - startTime.getTime();
  }
}
