import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { planOf } from '../setup/fake-run.ts';
import { quietHours } from '../../src/contract/quiet-hours.ts';
import { copyThese, type Fanout } from '../../src/workflows/copy-plan.ts';
import { untilQuietHours } from '../../src/workflows/quiet-hours.ts';
import type { RunProgress } from '../../src/workflows/run-progress.ts';
import type { SnapshotLender } from '../../src/workflows/snapshot-relay.ts';

const MINUTE = 60_000;
const COPY_LASTS = 25 * MINUTE;

/** Start times of copies, by a clock that only sleeping and copying advance. */
const copies: string[] = [];
const clock = (): string => new Date().toISOString().slice(0, 16);
const pass = (milliseconds: number): void => void vi.setSystemTime(Date.now() + milliseconds);

vi.mock('@temporalio/workflow', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  sleep: async (milliseconds: number) => pass(milliseconds),
}));
vi.mock('../../src/workflows/activities.ts', () => ({
  copyChunks: {
    executeWithOptions: async (_options: unknown, [{ count }]: [{ count: number }]) => {
      copies.push(clock());
      pass(COPY_LASTS);
      return { rows: count, bytes: count };
    },
  },
}));

beforeEach(() => {
  copies.length = 0;
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => vi.useRealTimers());

/** Records what a run reports about itself, in order. */
class Told {
  readonly phases: string[] = ['copying'];
  readonly progress = {
    set: ({ phase }: { phase: string }) => this.phases.push(phase),
    began: () => () => undefined,
    copied: () => undefined,
  } as unknown as RunProgress;

  constructor() {
    Object.defineProperty(this.progress, 'now', { get: () => ({ phase: this.phases.at(-1) }) });
  }
}

test.each([
  ['2026-01-10T12:00', 'UTC', '2026-01-10T22:00'],
  ['2026-01-10T23:00', 'UTC', '2026-01-10T23:00'],
  ['2026-07-10T12:00', 'Europe/Berlin', '2026-07-10T20:00'],
  // the nights in which clocks go forward and back
  ['2026-03-28T23:30', 'Europe/Berlin', '2026-03-29T20:00'],
  ['2026-10-24T22:30', 'Europe/Berlin', '2026-10-25T21:00'],
])('a run of %s, quiet hours of %s, begins at %s', async (now, timeZone, begins) => {
  vi.setSystemTime(`${now}:00Z`);
  const told = new Told();
  await untilQuietHours(quietHours.parse({ from: '22:00', to: '00:15', timeZone }), told.progress);
  expect(clock()).toBe(begins);
  expect(told.phases).toEqual(now === begins ? ['copying'] : expect.arrayContaining(['waiting']));
  expect(told.phases.at(-1)).toBe('copying');
});

async function copyFrom(now: string, lender?: SnapshotLender): Promise<void> {
  vi.setSystemTime(`${now}:00Z`);
  const { progress } = new Told();
  const hours = quietHours.parse({ from: '22:00', to: '23:00' });
  const fanout = {
    // one after another, like a window of one
    window: {
      width: 1,
      forEach: async <T>(items: Iterable<T>, work: (item: T) => Promise<void>) => {
        for (const item of items) await work(item);
      },
    },
    gate: { opened: async () => undefined },
    progress,
    untilQuiet: async () => untilQuietHours(hours, progress),
    child: undefined,
  } as unknown as Fanout;
  const spans = [...Array(5).keys()].map((from) => ({ from, count: 1 }));
  await copyThese(fanout, planOf(5), spans, lender);
}

test('without a snapshot, a run pauses between spans when the hours end, and goes on when they begin again', async () => {
  await copyFrom('2026-01-10T22:00');
  expect(copies).toEqual([
    '2026-01-10T22:00',
    '2026-01-10T22:25',
    '2026-01-10T22:50',
    '2026-01-11T22:00',
    '2026-01-11T22:25',
  ]);
});

test('with a snapshot it goes on, since to wait would be to hold the snapshot', async () => {
  const lender = { lend: async (work: (snapshot: object) => unknown) => work({ id: '1', takenAt: '' }) };
  await copyFrom('2026-01-10T22:00', lender as unknown as SnapshotLender);
  expect(copies.map((time) => time.slice(11))).toEqual(['22:00', '22:25', '22:50', '23:15', '23:40']);
});
