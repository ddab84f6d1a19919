/** Changes per second, over the last ten seconds. */
export class Speed {
  #counts: { readonly at: number; readonly changes: number }[] = [];

  add(changes: number): void {
    if (changes > 0) this.#counts.push({ at: performance.now(), changes });
  }

  now(): number {
    const since = performance.now() - 10_000;
    while ((this.#counts[0]?.at ?? since) < since) this.#counts.shift();
    return Math.round(this.#counts.reduce((sum, { changes }) => sum + changes, 0) / 10);
  }
}
