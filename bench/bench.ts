import type { LocalStack } from '../local/stack.ts';
import type { BenchOptions } from './options.ts';
import type { ReadyPeers } from './peers/all-peers.ts';
import type { Section } from './result.ts';

/** What every benchmark gets: servers that are empty, and what was asked for. */
export interface Bench {
  readonly stack: LocalStack;
  readonly options: BenchOptions;
  /**
   * The peers that can be had, of those that were asked for.
   *
   * @param proposed beginnings of the names of those to take where none were asked for; all of them where it is left out
   */
  peers(proposed?: readonly string[]): Promise<ReadyPeers>;
}

export type Benchmark = (bench: Bench) => Promise<Section>;
