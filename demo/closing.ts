/** What has been started, to be stopped in reverse order, whenever and why ever the demo ends. */
export class Closing {
  readonly #steps: (() => Promise<unknown>)[] = [];
  #closed: Promise<void> | undefined;

  /** True from the moment that something began to close: what fails afterwards fails because of that. */
  get began(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Remembers how to stop what is being started; a start that failed leaves nothing to stop.
   *
   * @throws when something began to close meanwhile: the next thing is not to be started on what goes away
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

  /** More than once is no error. */
  close(): Promise<void> {
    return (this.#closed ??= this.#closeAll());
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.toReversed()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0)
      throw new AggregateError(failures, `not all was closed: ${failures.map(String).join('; ')}`);
  }
}
