import { closeOnSignals } from '../local/close-on-signals.ts';
import { Closing } from '../local/closing.ts';
import { reasonOf } from './failure-reason.ts';
import { forgetSettings } from './own-settings.ts';
import { play } from './play.ts';
import { Screen } from './terminal/screen.ts';

forgetSettings(process.env);
const goesOn = !process.argv.includes('--exit');
const screen = new Screen(process.stdout, process.env);
const closing = new Closing();
closeOnSignals({
  close: () => {
    screen.mute();
    return closing.close();
  },
});

let status = 0;
try {
  if (!(await play(screen, closing, goesOn))) status = 1;
  if (goesOn) await untilInterrupted();
} catch (error) {
  // A failure during shutdown is caused by it, and the signal decides the exit status.
  if (closing.began) await untilInterrupted();
  tellFailure(error);
}
await closing.close().catch(tellFailure);
// Not left to Node: the connection to Temporal is still open.
process.exit(status);

/** Waits until Ctrl-C closes everything and ends the process. */
function untilInterrupted(): Promise<never> {
  screen.print('', 'Everything keeps running until you press Ctrl-C.');
  return new Promise(() => {});
}

function tellFailure(error: unknown): void {
  screen.print('', screen.paint('red', `The demo failed: ${reasonOf(error)}`));
  status = 1;
}
