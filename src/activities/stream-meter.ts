import { Context } from '@temporalio/activity';
import type { MetricCounter } from '@temporalio/common';
import type { StreamProgress } from '../contract/capture-changes.ts';
import { gauge } from './metrics.ts';

/** Measures one stream of changes while it lasts. */
export class StreamMeter implements Disposable {
  readonly #tags: { readonly source: string; readonly slot: string };
  readonly #streams = gauge('datakit_streams', 'Streams of changes that this worker reads');
  readonly #lagSeconds = gauge('datakit_stream_lag_seconds', 'How long a message takes into the warehouse');
  readonly #lagBytes = gauge(
    'datakit_stream_lag_bytes',
    'Write-ahead log of the source that is still to be read',
  );
  readonly #slotLag = gauge(
    'datakit_slot_lag_bytes',
    'Write-ahead log that the slot holds back in the source',
  );
  readonly #changes: MetricCounter = Context.current().metricMeter.createCounter(
    'datakit_changes',
    'changes',
    'Changes written to the warehouse',
  );
  /** Changes of the capture that have been counted, here or by earlier streams. */
  #counted: number | undefined;

  constructor(source: string, slot: string) {
    this.#tags = { source, slot };
  }

  /** The first progress of a stream, before it has written anything, says what earlier ones wrote. */
  record({ changes, lagSeconds, lagBytes, slotLagBytes }: StreamProgress): void {
    this.#streams.set(1, this.#tags);
    this.#lagSeconds.set(notNegative(lagSeconds), this.#tags);
    this.#lagBytes.set(notNegative(lagBytes), this.#tags);
    this.#slotLag.set(notNegative(slotLagBytes), this.#tags);
    this.#changes.add(notNegative(changes - (this.#counted ?? changes)), this.#tags);
    this.#counted = changes;
  }

  /** A gauge keeps its last value, also when another worker has the stream. */
  [Symbol.dispose](): void {
    for (const one of [this.#streams, this.#lagSeconds, this.#lagBytes, this.#slotLag])
      one.set(0, this.#tags);
  }
}

/** The SDK throws for what is negative, and a stream must not end because a clock was set back. */
const notNegative = (value: number): number => Math.max(0, value);
