import { expect, test } from 'vitest';
import { Semaphore, type Permit } from '../../src/postgres/semaphore.ts';

/** Requests a permit, and notes under a name that it was given. */
const request = async (semaphore: Semaphore, given: string[], name: string): Promise<Permit | undefined> => {
  const permit = await semaphore.acquire(name);
  if (permit !== undefined) given.push(name);
  return permit;
};

test('permits are given in the order of the requests, and no more than there are', async () => {
  const semaphore = new Semaphore(1, 60_000);
  const given: string[] = [];
  const first = await request(semaphore, given, 'first');
  const second = request(semaphore, given, 'second');
  const third = request(semaphore, given, 'third');
  first?.release();
  const held = await second;
  first?.release(); // which releases nothing more
  await new Promise(setImmediate);
  expect(given).toEqual(['first', 'second']);
  held?.release();
  (await third)?.release();
  expect(given).toEqual(['first', 'second', 'third']);
});

test('a request that was given up, or has waited for too long, takes no permit from the next', async () => {
  const semaphore = new Semaphore(1, 20);
  const first = await semaphore.acquire('first');
  const cancelling = new AbortController();
  const cancelled = semaphore.acquire('cancelled', cancelling.signal);
  cancelling.abort(new Error('stop'));
  await expect(cancelled).rejects.toThrow('stop');
  expect(await semaphore.acquire('late')).toBeUndefined();
  const next = semaphore.acquire('next');
  first?.release();
  expect(await next).toBeDefined();
  expect(semaphore.holders()).toMatch(/^1 by next for up to/);
});

test('a request that is given up behind others leaves them their places, and one that is too late asks for none', async () => {
  const semaphore = new Semaphore(1, 60_000);
  const given: string[] = [];
  const first = await request(semaphore, given, 'first');
  const second = request(semaphore, given, 'second');
  const cancelling = new AbortController();
  const cancelled = semaphore.acquire('cancelled', cancelling.signal);
  cancelling.abort(new Error('stop'));
  await expect(cancelled).rejects.toThrow('stop');
  await expect(semaphore.acquire('too late', cancelling.signal)).rejects.toThrow('stop');
  first?.release();
  (await second)?.release();
  expect(given).toEqual(['first', 'second']);
});
