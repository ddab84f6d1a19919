import { phaseOf, type RunView } from '../run-view.ts';
import { logLine } from './run-line.ts';

/** How long a run may go on in one phase without a line of its own. */
const QUIET_MS = 5_000;

/** Chooses what is worth a line where nothing can be drawn over: a new phase, and now and then a sign of life. */
export class RunLog {
  readonly #told = new Map<string, { readonly phase: string; readonly at: number }>();

  lines(views: readonly RunView[], now: number): string[] {
    const due = views.filter((view) => this.#isDue(view, now));
    for (const view of due) this.#told.set(view.table, { phase: phaseOf(view), at: now });
    return due.map((view) => logLine(view, now));
  }

  #isDue(view: RunView, now: number): boolean {
    const phase = phaseOf(view);
    const told = this.#told.get(view.table);
    if (phase === 'waiting') return false;
    return told?.phase !== phase || (view.ending === undefined && now - told.at >= QUIET_MS);
  }
}
