import { describe, expect, test } from 'vitest';
import type { DatabaseProgress } from '../../src/contract/progress.ts';
import { databaseDetails } from '../../src/workflows/database-details.ts';
import { firstShare, shareOut } from '../../src/workflows/share-out.ts';
import { TableList } from '../../src/workflows/table-list.ts';
import { tableLines } from '../setup/table-lines.ts';

const shares = (...widths: [width: number, most: number][]) =>
  widths.map(([width, most]) => ({ width, most, reserved: width }));

describe('copies are shared out', () => {
  test.each([
    [shares([1, 9], [1, 9]), 4, [3, 3]],
    [shares([3, 9], [1, 9]), 1, [3, 2]],
    [shares([1, 1], [1, 9]), 4, [1, 5]],
    [shares([1, 1]), 3, [1]],
    [shares([4, 9], [2, 9]), -3, [1, 2]],
    [shares([2, 9], [4, 9]), -2, [2, 2]],
    [shares([1, 9], [1, 9]), -5, [1, 1]],
    [shares([2, 9]), 0, [2]],
  ])('%j, %i free', (running, free, expected) => {
    const before = running.map(({ width }) => width);
    const changed = shareOut(running, free);
    expect(running.map(({ width }) => width)).toEqual(expected);
    expect(changed).toEqual(running.filter(({ width }, index) => width !== before[index]));
  });

  test('within the sessions that there may be: what was taken from a table is not given to another', () => {
    const running = shares([4, 9], [1, 9]);
    expect(shareOut(running, -2, 1)).toEqual([running[0]]);
    shareOut(running, 4, 1);
    expect(running.map(({ width }) => width)).toEqual([4, 2]);
    expect(shareOut(running, 4, 0)).toEqual([]);
    expect(running.map(({ reserved }) => reserved)).toEqual([4, 2]);
  });

  test('evenly to those that begin, and no more than they can use', () => {
    expect(firstShare({ most: 9 }, { parallelism: 8, atOnce: 3, free: 8 })).toBe(2);
    expect(firstShare({ most: 1 }, { parallelism: 8, atOnce: 1, free: 8 })).toBe(1);
    expect(firstShare({ most: 9 }, { parallelism: 8, atOnce: 1, free: 3 })).toBe(3);
    expect(firstShare({ most: 9 }, { parallelism: 2, atOnce: 2, free: 0 })).toBe(1);
  });
});

describe('the list of tables', () => {
  const small = (count: number, bytes = 1) =>
    Array.from({ length: count }, (_, n) => ({
      table: `public.t${n}`,
      bytes,
      large: false,
    }));

  test('packs few tables at once where there are few, and bounds the packs where there are very many', () => {
    const size = (count: number, bytes: number, width: number) =>
      new TableList(small(count, bytes)).nextPack(width, true).length;
    expect(size(200, 1, 4)).toBe(25);
    expect(size(1_000, 1, 4)).toBe(50);
    expect(size(30_000, 1, 4)).toBe(60);
    expect(size(100, 16 * 1024 * 1024, 4)).toBe(4);
  });

  test('packs so many tables, or bytes, that a pack is worth its activity', () => {
    const MB = 1024 * 1024;
    expect(new TableList(small(10)).nextPack(2, true)).toHaveLength(10);
    expect(new TableList(small(100)).nextPack(4, true)).toHaveLength(16);
    expect(new TableList(small(40, MB)).nextPack(8, true)).toHaveLength(4);
    expect(new TableList(small(8, 5 * MB)).nextPack(4, true)).toHaveLength(1);
    // histories of earlier versions have packs of a different size
    expect(new TableList(small(10)).nextPack(2, false)).toHaveLength(3);
  });

  test('begins again with all tables but those that were skipped, each as it was at first', () => {
    const list = new TableList(small(3));
    const [skipped, changed, done] = list.tables;
    if (skipped === undefined || changed === undefined || done === undefined) throw new Error('three tables');
    list.started(list.tables, 1);
    list.ended(skipped, 'skipped');
    list.ended(done, 'committed');
    list.waits(changed, true);
    changed.changed = true;
    list.reset();
    expect(list.in('waiting')).toEqual([
      expect.objectContaining({ table: 'public.t1', alone: false, changed: false }),
      expect.objectContaining({ table: 'public.t2', alone: false, changed: false }),
    ]);
    expect(list.waiting).toBe(2);
    expect(list.in('skipped')).toEqual([skipped]);
  });

  test('is long once so many tables had workflows of their own that a history takes few more', () => {
    const list = new TableList(small(500).map((one) => ({ ...one, large: true })));
    list.started(list.tables.slice(1), 1);
    expect(list.isLong).toBe(false);
    list.started(list.tables.slice(0, 1), 1);
    expect(list.isLong).toBe(true);
  });

  test('finds tables as people write them', () => {
    const list = new TableList([{ table: 'public.orders', bytes: 1, large: true }]);
    expect(list.find('orders')?.member).toBe(0);
    expect(list.find('sales.orders')).toBeUndefined();
    expect(list.find('a.b.c')).toBeUndefined();
  });
});

test('details show totals, what is under way, failures and the age of the snapshot', () => {
  const progress: DatabaseProgress = {
    phase: 'copying',
    tables: 1_200,
    waiting: 1_100,
    running: [
      {
        table: 'public.a|b',
        phase: 'copying',
        rows: 1_000,
        bytes: 2 * 1024 * 1024,
        chunksDone: 2,
        chunks: 8,
        copyingSince: 1_767_225_608_000,
      },
      { table: 'public.small', phase: 'packed', rows: 0, bytes: 0, chunksDone: 0, chunks: 0 },
    ],
    ended: [{ table: 'public.bad', phase: 'failed', rows: 0, bytes: 0, chunksDone: 0, chunks: 0 }],
    committed: 90,
    superseded: 0,
    failed: 1,
    skipped: 8,
    rows: 12_345,
    bytes: 10 * 1024 * 1024,
    parallelism: 4,
    done: 0.25,
    copyingSince: 1_767_225_600_000,
    snapshotTakenAt: '2026-01-01T00:00:00Z',
    restarts: 0,
    failures: [{ table: 'public.bad', message: 'no\nroom' }],
  };
  const details = databaseDetails(progress, 1_767_225_610_000);
  expect(tableLines(details)).toEqual([
    '| table | phase | chunks | left | rows | data | speed |',
    '|:--|:--|--:|--:|--:|--:|--:|',
    '| public.a\\|b | copying | 2 of 8 | 6.0 s | 1,000 | 2 MB | 1 MB/s |',
    '| public.small | packed |  |  | 0 | 0 B |  |',
    '| public.bad | failed |  |  | 0 | 0 B |  |',
  ]);
  expect(details.split('\n').filter((line) => !line.startsWith('|'))).toEqual([
    '**90 of 1,200 tables**: copying',
    '',
    '- 2 copying, 1100 waiting, 1 failed, 8 skipped',
    '- 12,345 rows, 10 MB, 4 chunks at once',
    '- 10.0 s of copying, 1 MB/s, about 30.0 s left',
    '',
    '',
    '**public.bad** failed: no room',
    '',
    'All tables as of 2026-01-01T00:00:00Z; that snapshot is 10.0 s old.',
  ]);
});
