import { beforeAll, describe, expect, test } from 'vitest';

describe('a group whose hook fails', () => {
  beforeAll(() => {
    throw new Error('as intended');
  });

  test('is skipped', () => expect(true).toBe(true));
});
