import { setTimeout as sleep } from 'node:timers/promises';
import { listed } from '../../contract/listed.ts';
import {
  readUnsettled,
  REPORTS_AGAIN_AFTER,
  REPORTS_IDLE_AFTER,
  type UnsettledSession,
} from '../../postgres/unsettled-sessions.ts';
import type { Ask } from '../ask.ts';

/** Milliseconds. Enough for every idle session to report; a longer transaction leaves the statistics in doubt. */
const PATIENCE = 15_000;
const PAUSE = 50;

/**
 * Waits until the source's statistics count every change that was committed before this call.
 *
 * @param since when the statistics to compare with were read, by the source's clock
 * @returns why this is not certain; undefined if it is
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
    const hidden = left.filter(({ isHidden }) => isHidden);
    if (hidden.length > 0) return mayBeUncounted(hidden, 'it works without track_activities');
    if (elapsed * 1000 > PATIENCE)
      return mayBeUncounted(left, 'its transaction or statement has not ended for too long');
    await sleep(PAUSE);
  }
}

/** What has been observed of a session since the wait began. */
class Watch {
  /** When a transaction began late enough that its end is a report, in seconds since the wait began. */
  #later: number | undefined;

  isUnsettled({ isIdle, isHidden, seconds }: UnsettledSession, elapsed: number): boolean {
    if (isHidden) return true;
    const began = elapsed - seconds;
    if (isIdle) return began < REPORTS_AGAIN_AFTER && seconds < REPORTS_IDLE_AFTER;
    if (began < REPORTS_AGAIN_AFTER) return true;
    this.#later ??= began;
    // once a later transaction is seen, the one that began late enough has ended, and reported
    return began - this.#later < CLOCKS_APART;
  }
}

/** Seconds by which two observations of a transaction may disagree about when it began. */
const CLOCKS_APART = 0.5;

const mayBeUncounted = (sessions: readonly UnsettledSession[], why: string): string =>
  `what ${listed(
    sessions.map(({ pid, application }) => `process ${pid} (${application || 'unnamed'})`),
    3,
  )} changed may not be counted yet: ${why}`;
