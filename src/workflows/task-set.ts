import { CancellationScope, condition } from '@temporalio/workflow';

/** Tasks that are under way at once. */
export class TaskSet {
  readonly #scope: CancellationScope;
  readonly #running = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  private constructor(scope: CancellationScope) {
    this.#scope = scope;
  }

  /**
   * Runs all tasks that `startAll` starts, and returns when they have ended.
   *
   * If one fails, or `startAll` itself, the others are cancelled and waited for, so that nothing is under way
   * when this rejects, with the first failure.
   */
  static async run(startAll: (tasks: TaskSet) => Promise<void>): Promise<void> {
    await CancellationScope.cancellable(async () => {
      const tasks = new TaskSet(CancellationScope.current());
      try {
        await startAll(tasks);
      } catch (error) {
        tasks.#failures.push(error); // a wait was cancelled from outside
      }
      await CancellationScope.nonCancellable(async () => Promise.all(tasks.#running));
      if (tasks.hasFailed) throw tasks.#failures[0];
    });
  }

  get size(): number {
    return this.#running.size;
  }

  /** True when no more tasks should be started. */
  get hasFailed(): boolean {
    return this.#failures.length > 0;
  }

  /** Waits until a condition holds or a task has failed. */
  async until(holds: () => boolean): Promise<void> {
    await condition(() => this.hasFailed || holds());
  }

  start(work: () => Promise<void>): void {
    const task: Promise<void> = work()
      .catch((error: unknown) => {
        this.#failures.push(error);
        this.#scope.cancel();
      })
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }
}
