import { setTimeout as after } from 'node:timers/promises';
import type { Run } from './run.ts';
import type { RunView } from './run-view.ts';
import { runLine } from './terminal/run-line.ts';
import { RunLog } from './terminal/run-log.ts';
import type { Screen } from './terminal/screen.ts';

const ASK_EVERY_MS = 300;

/** Shows the progress of the runs until all have ended. */
export async function watch(runs: readonly Run[], screen: Screen): Promise<RunView[]> {
  const log = new RunLog();
  const allEnded = Promise.all(runs.map((run) => run.ended)).then(() => true);
  let ended = false;
  while (!ended) {
    ended = await Promise.race([allEnded, after(ASK_EVERY_MS, false)]);
    if (!ended) await Promise.all(runs.map((run) => run.ask()));
    show(runs, screen, log);
  }
  screen.settle();
  return runs.map((run) => run.view);
}

function show(runs: readonly Run[], screen: Screen, log: RunLog): void {
  const views = runs.map((run) => run.view);
  const now = Date.now();
  if (screen.interactive) {
    screen.draw(views.map((view) => runLine(view, now)));
    return;
  }
  const lines = log.lines(views, now);
  if (lines.length > 0) screen.print(...lines);
}
