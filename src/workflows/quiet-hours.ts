import { sleep } from '@temporalio/workflow';
import { untilQuiet, type QuietHours } from '../contract/quiet-hours.ts';
import type { RunProgress } from './run-progress.ts';

/** Waits until the quiet hours begin, if necessary, and shows that in the progress. */
export async function untilQuietHours(hours: QuietHours | undefined, progress: RunProgress): Promise<void> {
  if (hours === undefined) return;
  const { phase } = progress.now;
  for (let wait = untilQuiet(hours, Date.now()); wait > 0; wait = untilQuiet(hours, Date.now())) {
    progress.set({ phase: 'waiting' });
    await sleep(wait);
  }
  if (progress.now.phase === 'waiting') progress.set({ phase });
}
