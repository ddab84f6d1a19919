import { TaskSet } from './task-set.ts';

/** Keeps a number of tasks under way at once; the number can change as they run. */
export class SlidingWindow {
  #width: number;

  constructor(width: number) {
    this.#width = width;
  }

  get width(): number {
    return this.#width;
  }

  /** A wider window fills at once; a narrower one lets running work end. */
  resize(width: number): void {
    this.#width = width;
  }

  /** Starts the work for each item, in order, as places become free. Once one fails, no other is started. */
  async forEach<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    await TaskSet.run(async (tasks) => {
      for (const item of items) {
        await tasks.until(() => tasks.size < this.#width);
        if (tasks.hasFailed) return;
        tasks.start(async () => work(item));
      }
    });
  }
}
