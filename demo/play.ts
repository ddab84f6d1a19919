import { startingLine } from '../local/stack.ts';
import type { Closing } from '../local/closing.ts';
import { demoTables } from './data/load-demo-data.ts';
import { showExample } from './example-query.ts';
import { load } from './load.ts';
import { prove } from './prove.ts';
import { Run } from './run.ts';
import type { RunView } from './run-view.ts';
import { failWhenEnded, startServers, startWorker, type Stage } from './stage.ts';
import { summary } from './terminal/summary.ts';
import type { Screen } from './terminal/screen.ts';
import { watch } from './watch.ts';
import { showWhatNext } from './what-next.ts';

/**
 * Runs the demo up to the point where it waits or ends; returns true if everything extracted was proven equal.
 *
 * @param goesOn whether its servers are there afterwards, so that people can try something
 */
export async function play(screen: Screen, closing: Closing, goesOn: boolean): Promise<boolean> {
  screen.print(startingLine({}));
  const stack = await startServers(closing);
  screen.heading('Loading the source');
  const [stage] = await Promise.all([startWorker(closing, stack), load(stack.sourceUrl, screen)]);
  screen.heading(`Extracting ${demoTables.length} tables`);
  const views = await extract(stage, screen);
  screen.heading('What the runs did');
  screen.print(...summary(views));
  const finished = views.every((view) => view.ending?.kind === 'finished');
  screen.heading('Source and bronze, compared by value');
  const equal = await prove(stack, views, screen);
  if (finished) await showExample(stack.warehouseUrl, screen);
  if (finished && goesOn) showWhatNext(stage, screen);
  return finished && equal;
}

/** Starts with the largest table: the small ones finish while it runs. */
async function extract({ client, taskQueue, worker }: Stage, screen: Screen): Promise<RunView[]> {
  const runs: Run[] = [];
  for (const table of demoTables) runs.push(await Run.start(client, taskQueue, table));
  return Promise.race([watch(runs, screen), failWhenEnded(worker)]);
}
