import { setTimeout as sleep } from 'node:timers/promises';
import { listed } from '../../contract/listed.ts';
import {
  readUnsettled,
  REPORTS_AGAIN_AFTER,
  REPORTS_IDLE_AFTER,
  type UnsettledSession,
} from '../../postgres/unsettled-sessions.ts';
import type { Ask } from '../increment/settle-limit.ts';

/** Long enough for every session that is idle; one that stays in a transaction for longer leaves us unsure. */
const PATIENCE = 15_000;
const PAUSE = 50;

/**
 * Waits until every change that was committed before this was called is counted in the source's statistics.
 *
 * @param since by the source's clock, when the statistics to compare with were read
 * @returns why that is not sure, where it is not
 */
export async function settleStatistics(ask: Ask, since: string): Promise<string | undefined> {
  const read = async () => ask(async (source) => readUnsettled(source, since));
  const first = await read();
  if (first === undefined)
    return 'the sessions of others are not visible: grant pg_read_all_stats to the role in the source';
  const began = performance.now();
  const watched = new Map(first.map(({ id }) => [id, new Watch()]));
  for (let now = first; ; now = (await read()) ?? first) {
    const elapsed = (performance.now() - began) / 1000;
    const left = now.filter((session) => watched.get(session.id)?.isUnsettled(session, elapsed));
    for (const id of watched.keys()) if (!left.some((session) => session.id === id)) watched.delete(id);
    if (left.length === 0) return undefined;
    if (elapsed * 1000 > PATIENCE) return whoIsLeft(left);
    await sleep(PAUSE);
  }
}

/** What has been seen of a session since the beginning. */
class Watch {
  /** When, in seconds from the beginning, a transaction began that came late enough; its end is a report. */
  #later: number | undefined;

  isUnsettled({ isIdle, seconds }: UnsettledSession, elapsed: number): boolean {
    const began = elapsed - seconds;
    if (isIdle) return began < REPORTS_AGAIN_AFTER && seconds < REPORTS_IDLE_AFTER;
    if (began < REPORTS_AGAIN_AFTER) return true;
    this.#later ??= began;
    // another transaction than the one that came late enough: that one has ended, and reported
    return began - this.#later < CLOCKS_APART;
  }
}

/** Seconds by which two looks at the same transaction may disagree of its beginning. */
const CLOCKS_APART = 0.5;

const whoIsLeft = (left: readonly UnsettledSession[]): string =>
  `what ${listed(
    left.map(({ pid, application }) => `process ${pid} (${application || 'unnamed'})`),
    3,
  )} changed may not be counted yet: its transaction has been open for too long`;
