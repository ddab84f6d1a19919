/** Closes on signals; the time closing takes is the first argument. */
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
