import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamProgress } from '../contract/capture-changes.ts';
import type { Database } from '../postgres/database.ts';
import { parseLsn } from '../postgres/replication/lsn.ts';
import { readLogPositions, writeHeartbeat } from '../postgres/replication/slots.ts';

/** How many heartbeats are remembered while none arrives. */
const MOST_BEATS = 1_000;
/** The stream asks for the lag once a second: more heartbeats would only fill the log. */
const LEAST_INTERVAL = 1_000;

/**
 * Writes a message to the source's log now and then, and asks how far the log is.
 *
 * The stream finds the message again: how long that takes is the lag, measured by one clock. It also advances a
 * position that nothing else moves.
 */
export class SourcePulse {
  readonly #beats: { readonly lsn: bigint; readonly at: number }[] = [];
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  #end = '0/0';
  #heldBack = 0;

  constructor(
    source: Database,
    options: {
      readonly runId: string;
      readonly slot: string;
      readonly interval: number;
      readonly signal: AbortSignal;
    },
  ) {
    this.#done = this.#run(source, options);
  }

  /** End of the log when last asked for. */
  get end(): string {
    return this.#end;
  }

  /** Bytes of log that the slot held back then. */
  get heldBack(): number {
    return this.#heldBack;
  }

  /** Returns how far behind a position is. */
  lagOf(position: string): Pick<StreamProgress, 'lagBytes' | 'lagSeconds' | 'slotLagBytes'> {
    const at = parseLsn(position);
    while ((this.#beats[0]?.lsn ?? at + 1n) <= at) this.#beats.shift();
    const behind = parseLsn(this.#end) - at;
    const oldest = this.#beats[0];
    return {
      lagBytes: behind > 0n ? Number(behind) : 0,
      lagSeconds: oldest === undefined ? 0 : Math.round((performance.now() - oldest.at) / 100) / 10,
      slotLagBytes: this.#heldBack,
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  /** A source that cannot be asked now is asked later: the stream itself tells if it is gone. */
  async #run(
    source: Database,
    { runId, slot, interval, signal }: ConstructorParameters<typeof SourcePulse>[1],
  ): Promise<void> {
    const ending = AbortSignal.any([signal, this.#closing.signal]);
    while (!ending.aborted) {
      await this.#beat(source, runId, slot, ending).catch(() => undefined);
      await sleep(Math.max(interval, LEAST_INTERVAL), undefined, { signal: ending }).catch(() => undefined);
    }
  }

  async #beat(source: Database, runId: string, slot: string, signal: AbortSignal): Promise<void> {
    await source.write({ run: runId, signal }, async (session) => {
      const at = performance.now();
      const lsn = await writeHeartbeat(session, slot);
      const { end, heldBack } = await readLogPositions(session, slot);
      if (this.#beats.length < MOST_BEATS) this.#beats.push({ lsn: parseLsn(lsn), at });
      this.#end = end;
      this.#heldBack = heldBack;
    });
  }
}
