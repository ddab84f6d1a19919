/** Stops everything that was started, in reverse order, whenever and for whatever reason the demo ends. */
export class Closing {
  readonly #steps: (() => Promise<unknown>)[] = [];
  #closed: Promise<void> | undefined;

  /** True once closing has begun: later failures are a consequence of it. */
  get began(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Registers how to stop something that is being started; a failed start leaves nothing to stop.
   *
   * @throws if closing has begun: nothing further may start on something that is shutting down
   */
  async adopt<Started>(
    starting: Promise<Started>,
    stop: (started: Started) => Promise<unknown>,
  ): Promise<Started> {
    this.#steps.push(async () => {
      const started = await starting.catch(() => undefined);
      if (started !== undefined) await stop(started);
    });
    const started = await starting;
    if (this.began) throw new Error('interrupted');
    return started;
  }

  /** Closes everything; may be called more than once. */
  close(): Promise<void> {
    return (this.#closed ??= this.#closeAll());
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.toReversed()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0)
      throw new AggregateError(failures, `could not close everything: ${failures.map(String).join('; ')}`);
  }
}
