import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import type { ExtractHandle } from '../setup/lab.ts';
import type { FaultStack } from './fault-stack.ts';
import { digestOf, written, type Generations, type TableMode } from './generations.ts';

const tableMoments = ['plan', 'copying', 'between chunks', 'commit', 'after commit'] as const;
const captureMoments = ['first copy', 'streaming'] as const;
export const moments = [...tableMoments, ...captureMoments];
export type Moment = (typeof moments)[number];

export const tableModes = ['replace', 'append', 'merge'] as const satisfies readonly TableMode[];
export type Mode = TableMode | 'capture';

export const isOfCapture = (moment: Moment): boolean => captureMoments.some((one) => one === moment);

/** Returns the write modes that can be in a moment. */
export const modesOf = (moment: Moment): readonly Mode[] => (isOfCapture(moment) ? ['capture'] : tableModes);

/** A run or capture that a fault strikes. */
export interface Subject {
  readonly mode: Mode;
  readonly runId: string;
  /**
   * Returns what it is doing right now, if that is one of the moments. Remembers completed work for the comparison at
   * the end.
   */
  look(): Promise<Moment | undefined>;
  /** True if it ended before a time in milliseconds, by Temporal's clock. */
  endedBefore(time: number): Promise<boolean>;
  /** Waits until it has ended, or has resumed normal operation. */
  settled(): Promise<void>;
  /** Describes what is wrong with the result; empty if all is well. */
  problems(mayBeginAgain: boolean): Promise<string[]>;
}

interface Mark {
  readonly chunk: number;
  readonly at: string;
}

interface Seen {
  readonly status: string;
  readonly planned: number;
  readonly plan: string;
  readonly marks: readonly Mark[];
  readonly copying: boolean;
}

const requests: Readonly<Record<TableMode, Partial<ExtractTableRequest>>> = {
  replace: {},
  append: { write: 'append', incremental: { column: 'id' } },
  merge: { write: 'merge', incremental: { column: 'updated_at', lookback: '1 second' } },
};

export const requestOf = (mode: TableMode): ExtractTableRequest => ({
  table: written[mode].table,
  chunkSize: '128kB',
  stallTimeout: '3 seconds',
  ...requests[mode],
});

/** A run of `extractTable` on a table that is being written. */
export class TableRun implements Subject {
  readonly mode: TableMode;
  readonly #stack: FaultStack;
  readonly #handle: ExtractHandle;
  readonly #generations: Generations;
  /** The current generation when it began. */
  readonly #from: number;
  #planId: string | undefined;
  #marks: readonly Mark[] = [];
  #ended: Promise<{ restarts: number } | Error>;

  private constructor(
    mode: TableMode,
    stack: FaultStack,
    handle: ExtractHandle,
    generations: Generations,
    from: number,
  ) {
    this.mode = mode;
    this.#stack = stack;
    this.#handle = handle;
    this.#generations = generations;
    this.#from = from;
    this.#ended = handle
      .result()
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  }

  static async start(
    mode: TableMode,
    stack: FaultStack,
    generations: Generations,
    parallelism: number,
  ): Promise<TableRun> {
    const from = await generations.latest(stack.lab.source);
    const handle = await stack.lab.start({ ...requestOf(mode), parallelism });
    return new TableRun(mode, stack, handle, generations, from);
  }

  get runId(): string {
    return this.#handle.firstExecutionRunId;
  }

  async look(): Promise<Moment | undefined> {
    const { rows } = await this.#stack.lab.warehouse.query<Seen>(
      `SELECT r.status, r.chunks AS planned, r.plan_id AS plan,
              (SELECT coalesce(json_agg(json_build_object('chunk', chunk, 'at', loaded_at::text)), '[]')
                 FROM bronze.extraction_chunks c WHERE c.plan_id = r.plan_id) AS marks,
              EXISTS (SELECT FROM pg_stat_progress_copy c JOIN pg_stat_activity a USING (pid)
                       WHERE a.application_name = $2) AS copying
         FROM bronze.extraction_runs r WHERE r.run_id = $1`,
      [this.runId, this.#sessions],
    );
    const [row] = rows;
    if (row === undefined) return (await this.#isPlanning()) ? 'plan' : undefined;
    this.#planId = row.plan;
    this.#marks = row.marks;
    if (row.status === 'committed') return 'after commit';
    if (row.marks.length === row.planned) return 'commit';
    if (row.copying) return 'copying';
    return row.marks.length > 0 ? 'between chunks' : undefined;
  }

  async endedBefore(time: number): Promise<boolean> {
    const { closeTime } = await this.#handle.describe();
    return closeTime !== undefined && closeTime.getTime() < time;
  }

  async settled(): Promise<void> {
    await this.#ended;
  }

  async problems(mayBeginAgain: boolean): Promise<string[]> {
    const ended = await this.#ended;
    if (ended instanceof Error) return [`it failed: ${ended.message}, ${String(ended.cause)}`];
    const found: string[] = [];
    if (ended.restarts > 0 && !mayBeginAgain) found.push(`it began again ${ended.restarts} times`);
    const { lab } = this.#stack;
    const { table } = written[this.mode];
    const brought = await digestOf(lab.warehouse, this.mode, `bronze.br_${table}`);
    const generation = await this.#generations.find(lab.source, this.mode, brought, this.#from);
    if (generation === undefined)
      found.push(`bronze has ${brought}, which the source never had since it began`);
    return [...found, ...(await this.#copiedTwice())];
  }

  get #sessions(): string {
    return `datakit-postgres-extractor/${this.runId}`;
  }

  async #isPlanning(): Promise<boolean> {
    const { rowCount } = await this.#stack.lab.source.query(
      'SELECT FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
      [this.#sessions],
    );
    return rowCount !== 0;
  }

  /** Finds chunks copied twice: as long as the plan stays the same, existing marks must not change. */
  async #copiedTwice(): Promise<string[]> {
    const { rows } = await this.#stack.lab.warehouse.query<Mark>(
      `SELECT chunk, loaded_at::text AS at FROM bronze.extraction_chunks JOIN bronze.extraction_runs USING (plan_id)
        WHERE run_id = $1 AND plan_id = $2`,
      [this.runId, this.#planId],
    );
    if (rows.length === 0) return [];
    return this.#marks
      .filter(({ chunk, at }) => !rows.some((one) => one.chunk === chunk && one.at === at))
      .map(({ chunk }) => `chunk ${chunk} was copied twice`);
  }
}
