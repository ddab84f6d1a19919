import { expect, test } from 'vitest';
import { Closing } from '../../local/closing.ts';

test('what started last stops first, once', async () => {
  const stopped: string[] = [];
  const closing = new Closing();
  for (const name of ['a', 'b']) await closing.adopt(Promise.resolve(name), async () => stopped.push(name));
  await Promise.all([closing.close(), closing.close()]);
  expect(stopped).toEqual(['b', 'a']);
});

test('what is still starting is waited for and stopped, and not gone on with', async () => {
  const stopped: string[] = [];
  const closing = new Closing();
  const starting = new Promise<string>((resolve) => setTimeout(() => resolve('late'), 20));
  const adopted = closing.adopt(starting, async (name) => stopped.push(name));
  await Promise.all([expect(adopted).rejects.toThrow('interrupted'), closing.close()]);
  expect(stopped).toEqual(['late']);
});

test('what did not start is not stopped, and what does not stop keeps nothing else from it', async () => {
  const stopped: string[] = [];
  const closing = new Closing();
  await closing.adopt(Promise.resolve('a'), async () => stopped.push('a'));
  await closing.adopt(Promise.resolve('b'), () => Promise.reject(new Error('b hangs')));
  await expect(
    closing.adopt(Promise.reject(new Error('no c')), async () => stopped.push('c')),
  ).rejects.toThrow('no c');
  await expect(closing.close()).rejects.toThrow('b hangs');
  expect(stopped).toEqual(['a']);
});
