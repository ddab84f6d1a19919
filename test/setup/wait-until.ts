import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again until the answer is yes. */
export async function waitUntil(condition: () => Promise<boolean>, within = 60_000): Promise<void> {
  const deadline = Date.now() + within;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${within} ms in vain for: ${condition.toString()}`);
    await sleep(25);
  }
}
