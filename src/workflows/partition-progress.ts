import type { Span } from '../contract/chunks.ts';
import type { CopiedPartition, CopiedPartitions } from '../contract/observed.ts';
import type { PartitionLabel } from '../contract/plan-summary.ts';
import type { PartProgress } from '../contract/progress.ts';

/** The list should fit on a screen. */
const MOST_SHOWN = 20;

/** The progress of a plan's partitions, and which of them are being copied. */
export class PartitionProgress {
  readonly #labels: readonly (PartitionLabel & Span)[];
  #chunksDone: readonly number[] = [];
  #foremost: ReadonlyMap<number, CopiedPartition> = new Map();
  readonly #spans = new Set<Span>();
  readonly #since = new Map<number, number>();

  constructor(labels: readonly PartitionLabel[]) {
    let from = 0;
    this.#labels = labels.map(({ name, chunks }) => {
      from += chunks;
      return { name, chunks, from: from - chunks, count: chunks };
    });
  }

  /** @returns a function to call when the copy of the span has ended */
  began(span: Span): () => void {
    this.#spans.add(span);
    return () => void this.#spans.delete(span);
  }

  /** Records what the ledger reports. */
  observed({ chunksDone, foremost }: CopiedPartitions): void {
    this.#chunksDone = chunksDone;
    this.#foremost = new Map(foremost.map((one) => [one.partition, one]));
  }

  /** Returns those being copied, then those with the most rows; undefined if there is only one. */
  shown(now: number): PartProgress[] | undefined {
    if (this.#labels.length < 2) return undefined;
    const copying = this.#copying();
    for (const partition of this.#since.keys()) if (!copying.has(partition)) this.#since.delete(partition);
    for (const partition of copying) if (!this.#since.has(partition)) this.#since.set(partition, now);
    // the foremost begin with the half-done ones
    const isCopied = (partition: number) => copying.has(partition);
    const ordered = [...[...this.#foremost.keys()].filter(isCopied), ...copying, ...this.#foremost.keys()];
    return [...new Set(ordered)].slice(0, MOST_SHOWN).map((partition) => this.#progressOf(partition));
  }

  /** A span's chunks are copied in order, so it is at the first of its partitions that is not done. */
  #copying(): Set<number> {
    const begun = [...this.#spans].map(({ from, count }) =>
      this.#labels.findIndex(
        (label, partition) =>
          label.from < from + count && from < label.from + label.count && !this.#isDone(partition),
      ),
    );
    const halfDone = [...this.#foremost.keys()].filter((partition) => !this.#isDone(partition));
    return new Set([...begun.filter((partition) => partition !== -1), ...halfDone]);
  }

  #isDone(partition: number): boolean {
    return (this.#chunksDone[partition] ?? 0) >= (this.#labels[partition]?.chunks ?? 0);
  }

  #progressOf(partition: number): PartProgress {
    const { rows = 0, bytes = 0 } = this.#foremost.get(partition) ?? {};
    const { name = '', chunks = 0 } = this.#labels[partition] ?? {};
    const since = this.#since.get(partition);
    const chunksDone = this.#chunksDone[partition] ?? 0;
    return { name, rows, bytes, chunksDone, chunks, ...(since !== undefined && { copyingSince: since }) };
  }
}
