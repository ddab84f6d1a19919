import { CancellationScope, condition } from '@temporalio/workflow';

/** Keeps a number of pieces of work under way at once; the number can change meanwhile. */
export class SlidingWindow {
  #width: number;

  constructor(width: number) {
    this.#width = width;
  }

  get width(): number {
    return this.#width;
  }

  /** A wider window fills at once; a narrower one lets what is under way end. */
  resize(width: number): void {
    this.#width = width;
  }

  /**
   * Starts the work for each item, in order, as places come free.
   *
   * When one fails the others are cancelled and waited for, so that nothing is under way when this rejects.
   */
  async forEach<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    await CancellationScope.cancellable(async () => {
      const scope = CancellationScope.current();
      const running = new Set<Promise<void>>();
      const failures: unknown[] = [];
      const start = (item: T): void => {
        const task: Promise<void> = work(item)
          .catch((error: unknown) => {
            failures.push(error);
            scope.cancel();
          })
          .finally(() => running.delete(task));
        running.add(task);
      };
      try {
        for (const item of items) {
          await condition(() => running.size < this.#width || failures.length > 0);
          if (failures.length > 0) break;
          start(item);
        }
      } catch (error) {
        failures.push(error); // the wait was cancelled from outside
      }
      await CancellationScope.nonCancellable(async () => Promise.all(running));
      if (failures.length > 0) throw failures[0];
    });
  }
}
