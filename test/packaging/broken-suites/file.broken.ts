import { afterAll, expect, test } from 'vitest';

afterAll(() => {
  throw new Error('as intended');
});

test('passes', () => expect(true).toBe(true));
