import { setTimeout as sleep } from 'node:timers/promises';

const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 100;

/** Polls until the condition is met, less often over time, because polling is work for the servers. */
export async function waitUntil(condition: () => Promise<boolean>, within = 60_000): Promise<void> {
  const deadline = Date.now() + within;
  for (let pause = SHORTEST_PAUSE; !(await condition()); pause = Math.min(pause * 1.2, LONGEST_PAUSE)) {
    if (Date.now() > deadline) throw new Error(`waited ${within} ms in vain for: ${condition.toString()}`);
    await sleep(pause);
  }
}
