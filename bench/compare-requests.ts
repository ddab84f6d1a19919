import type { LocalStack } from '../local/stack.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { Extractor } from './extractor.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';
import { median } from './statistics.ts';
import { timed } from './timed.ts';

/** Runs the requests in turn for some rounds, and prints how long each took relative to the first. */
export async function compareRequests(
  stack: LocalStack,
  requests: Readonly<Record<string, ExtractTableRequest>>,
  rounds: number,
): Promise<void> {
  const extractor = await Extractor.start(stack);
  const times = new Map<string, number[]>(Object.keys(requests).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, request] of Object.entries(requests)) {
      await settle(stack);
      const { milliseconds } = await timed(async () => extractor.table(request));
      // the first round warms up
      if (round > 0) times.get(name)?.push(milliseconds);
    }
  }
  await extractor.stop();
  const [base = Number.NaN] = [...times.values()].map(median);
  for (const [name, all] of times) {
    const each = all.map(formatDuration).join(', ');
    say(`  ${name.padEnd(22)} ${formatDuration(median(all)).padStart(8)}  ${(median(all) / base).toFixed(2)}  (${each})`); // prettier-ignore
  }
}
