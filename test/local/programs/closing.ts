/** Closes on signals; the arguments are how long that takes, and how long it is too busy to hear of anything. */
import { setTimeout as sleep } from 'node:timers/promises';
import { closeOnSignals } from '../../../local/close-on-signals.ts';

const [milliseconds, busy] = process.argv.slice(2).map(Number);
setInterval(() => {}, 60_000);
closeOnSignals({
  close: async () => {
    await sleep(milliseconds);
    console.log('closed');
  },
});
console.log('started');
if (busy !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busy);
