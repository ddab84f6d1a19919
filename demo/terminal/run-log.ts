import type { RunView } from '../run-view.ts';
import { logLine } from './run-line.ts';

/** Longest time without a line about a run. */
const QUIET_MS = 2_000;

/** Chooses the lines for output that cannot be redrawn: ends of runs, and an occasional sign of life. */
export class RunLog {
  readonly #last = new Map<string, { readonly ended: boolean; readonly at: number }>();

  lines(views: readonly RunView[], now: number): string[] {
    return views.filter((view) => this.#isDue(view, now)).map((view) => logLine(view, now));
  }

  #isDue({ table, ending }: RunView, now: number): boolean {
    const last = this.#last.get(table) ?? { ended: false, at: now };
    const ended = ending !== undefined;
    const due = !last.ended && (ended || now - last.at >= QUIET_MS);
    this.#last.set(table, due ? { ended, at: now } : last);
    return due;
  }
}
