/** Closes on signals; the first argument is how long that takes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { closeOnSignals } from '../../../local/close-on-signals.ts';

const [milliseconds] = process.argv.slice(2);
setInterval(() => {}, 60_000);
closeOnSignals({
  close: async () => {
    await sleep(Number(milliseconds));
    console.log('closed');
  },
});
console.log('started');
