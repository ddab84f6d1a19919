import type { LocalStack } from '../local/stack.ts';
import type { BenchOptions } from './options.ts';
import type { ReadyPeers } from './peers/all-peers.ts';
import type { Section } from './result.ts';

/** Everything a benchmark gets: empty servers and the options of the command line. */
export interface Bench {
  readonly stack: LocalStack;
  readonly options: BenchOptions;
  /**
   * Installs the requested peers and returns those that are available.
   *
   * @param proposed name prefixes of the peers to use if none were requested; all peers if omitted
   */
  peers(proposed?: readonly string[]): Promise<ReadyPeers>;
}

export type Benchmark = (bench: Bench) => Promise<Section>;
