import { afterEach, expect, test, vi } from 'vitest';
import { Speed } from '../../src/capture/speed.ts';

afterEach(() => vi.restoreAllMocks());

test('the speed of a stream is that of the last ten seconds, also while the clock of the worker is set back', () => {
  const passed = vi.spyOn(performance, 'now').mockReturnValue(1_000);
  const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.UTC(2026, 0, 1, 12));
  const speed = new Speed();
  speed.add(50);
  expect(speed.now()).toBe(5);
  passed.mockReturnValue(12_000);
  clock.mockReturnValue(Date.UTC(2026, 0, 1, 11));
  expect(speed.now()).toBe(0);
});
