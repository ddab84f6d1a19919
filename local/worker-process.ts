import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { PROJECT_ROOT } from './project-root.ts';
import { withoutTemporal } from './temporal-environment.ts';
import { spawnTethered, type Exit, type Tethered } from './tether.ts';

const READY_WITHIN_MS = 60_000;
const KEPT_LINES = 200;
/**
 * The flags of `npm start`: copies create much short-lived garbage, and a small nursery keeps the process small. What
 * outlives the nursery would be collected only when there is three times as much of it as of what is in use.
 */
const AS_IN_PRODUCTION = ['--max-semi-space-size=4', '--heap-growing-percent=50'];

export interface WorkerProcessOptions {
  /** Databases, Temporal and task queue. Temporal's settings come only from here, not from our environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The module to run, relative to the project root. */
  readonly entry?: string;
  /** Called with every line the worker prints. */
  readonly onLine?: (line: string) => void;
}

export interface WorkerProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Asks the worker to shut down, and waits until it has. */
  stop(): Promise<Exit>;
  /** Returns false if the worker is already gone. */
  kill(signal: NodeJS.Signals): boolean;
  /** Returns the last lines it printed. */
  output(): string;
}

/** Starts the worker as a separate process, and waits until it says that it is ready. */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const entry = options.entry ?? 'src/worker.ts';
  const loader = entry.endsWith('.ts') ? ['--import', 'tsx'] : AS_IN_PRODUCTION;
  const child = await spawnTethered(process.execPath, [...loader, entry], {
    cwd: PROJECT_ROOT,
    env: { ...withoutTemporal(process.env), MALLOC_ARENA_MAX: '2', ...options.env },
    output: 'pipe',
  });
  const worker = new ChildWorker(child, options.onLine);
  try {
    await worker.becomesReady();
    return worker;
  } catch (error) {
    worker.kill('SIGKILL');
    throw error;
  }
}

class ChildWorker implements WorkerProcess {
  readonly #child: Tethered;
  readonly #lines: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #saidReady: Promise<void>;
  #sayReady: () => void = () => {};

  constructor(child: Tethered, onLine: ((line: string) => void) | undefined) {
    this.#child = child;
    this.#onLine = onLine;
    this.#saidReady = new Promise((resolve) => (this.#sayReady = resolve));
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) this.#read(stream);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get exited(): Promise<Exit> {
    return this.#child.exited;
  }

  async becomesReady(): Promise<void> {
    const waiting = new AbortController();
    const timeout = AbortSignal.any([waiting.signal, AbortSignal.timeout(READY_WITHIN_MS)]);
    const tooLate = new Promise<string>((resolve) => {
      timeout.addEventListener('abort', () => resolve(`was not ready after ${READY_WITHIN_MS / 1000} s`));
    });
    const ended = this.exited.then(({ code, signal }) => `ended at once (${signal ?? `code ${code}`})`);
    const problem = await Promise.race([this.#saidReady, tooLate, ended]);
    waiting.abort();
    if (problem !== undefined) throw new Error(`the worker ${problem}${this.#untold()}`);
  }

  async stop(): Promise<Exit> {
    this.kill('SIGTERM');
    return this.exited;
  }

  kill(signal: NodeJS.Signals): boolean {
    return this.#child.signal(signal);
  }

  output(): string {
    return this.#lines.join('\n');
  }

  /** Returns the output for an error message, unless a caller has already received every line. */
  #untold(): string {
    return this.#onLine === undefined ? `:\n${this.output()}` : '';
  }

  #read(stream: Readable): void {
    createInterface({ input: stream }).on('line', (line) => {
      this.#lines.push(line);
      if (this.#lines.length > KEPT_LINES) this.#lines.shift();
      if (isReadiness(line)) this.#sayReady();
      this.#onLine?.(line);
    });
  }
}

function isReadiness(line: string): boolean {
  try {
    const { message } = JSON.parse(line) as { message?: unknown };
    return typeof message === 'string' && message.includes('worker ready');
  } catch {
    return false;
  }
}
