import { closeOnSignals } from '../local/close-on-signals.ts';
import { Closing } from './closing.ts';
import { reasonOf } from './failure-reason.ts';
import { play } from './play.ts';
import { Screen } from './terminal/screen.ts';

const exitAtOnce = process.argv.includes('--exit');
const screen = new Screen(process.stdout, process.env);
const closing = new Closing();
closeOnSignals(closing);

try {
  const proven = await play(screen, closing);
  process.exitCode = proven ? 0 : 1;
  if (!exitAtOnce) await untilInterrupted();
} catch (error) {
  // What fails while everything closes fails because of it, and the signal decides the exit code.
  if (closing.began) await untilInterrupted();
  screen.print('', screen.paint('red', `The demo failed: ${reasonOf(error)}`));
  process.exitCode = 1;
} finally {
  await closing.close();
}

/** Ctrl-C closes all and ends the process. */
function untilInterrupted(): Promise<never> {
  if (!closing.began) screen.print('', 'All of it runs until you press Ctrl-C.');
  return new Promise(() => {});
}
