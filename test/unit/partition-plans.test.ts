import { describe, expect, test } from 'vitest';
import type { ExtractionPlan, PlannedPartition } from '../../src/bronze/plan.ts';
import { patternMatcher } from '../../src/contract/name-pattern.ts';
import { rangesOfChunk } from '../../src/extraction/plan/chunk-ranges.ts';
import { locksOfChunk, packSmall } from '../../src/extraction/partitions/pack-partitions.ts';
import { partitionsOf, putTogether } from '../../src/extraction/plan/chunks-together.ts';
import { labelsOf } from '../../src/extraction/partitions/partition-labels.ts';
import { seeded } from '../setup/seeded.ts';

const partition = (name: string, blocks: number, chunks: number): PlannedPartition => {
  return { schema: 'public', name, oid: 1, fileNode: 1, blocks, chunks };
};

/** Returns a plan with only what chunks and labels are derived from. */
const planOf = (partitions: readonly PlannedPartition[], blocksPerChunk: number): ExtractionPlan =>
  ({ table: { schema: 'public', name: 'orders' }, partitions, blocksPerChunk }) as unknown as ExtractionPlan;

const chunksOf = (plan: ExtractionPlan) => plan.partitions.reduce((sum, { chunks }) => sum + chunks, 0);

describe('small partitions', () => {
  const hasBlocks = ({ name }: PlannedPartition) => !name.startsWith('far');
  const locksOf = ({ name }: PlannedPartition) => (name.startsWith('indexed') ? 4 : 1);

  test('share a chunk up to its size and its locks, and large or foreign ones have their own', () => {
    const partitions = [
      partition('a', 3, 1), partition('b', 3, 1), partition('c', 5, 1), partition('large', 25, 3), partition('d', 0, 1),
      partition('far', 0, 1), partition('e', 1, 1), partition('f', 1, 1), partition('g', 1, 1), partition('h', 1, 1),
    ]; // prettier-ignore
    const packed = packSmall(partitions, { blocks: 10, locks: 3, locksOf, hasBlocks });
    expect(packed.map(({ name, chunks }) => `${name} ${chunks}`)).toEqual([
      'a 1', 'b 0', 'c 1', 'large 3', 'd 1', 'far 1', 'e 1', 'f 0', 'g 0', 'h 1',
    ]); // prettier-ignore
    const plan = planOf(packed, 10);
    const names = Array.from({ length: chunksOf(plan) }, (_, chunk) =>
      rangesOfChunk(plan, chunk).map((range) => range.partition.name).join('+')); // prettier-ignore
    expect(names).toEqual(['a+b', 'c', 'large', 'large', 'large', 'd', 'far', 'e+f+g', 'h']);
  });

  test('are each in one chunk, whole, whatever their sizes', () => {
    const random = seeded(11);
    for (let round = 0; round < 200; round += 1) {
      const partitions = Array.from({ length: 1 + Math.floor(random() * 40) }, (_, index) => {
        const blocks = Math.floor(random() * random() * 40);
        return partition(`p${index}`, blocks, Math.max(1, Math.ceil(blocks / 10)));
      });
      const plan = planOf(packSmall(partitions, { blocks: 10, locks: 5, locksOf, hasBlocks }), 10);
      const ranges = Array.from({ length: chunksOf(plan) }, (_, chunk) => rangesOfChunk(plan, chunk));
      expect(ranges.flat().map((range) => range.partition.name)).toEqual(
        partitions.flatMap(({ name, chunks }) => Array<string>(chunks).fill(name)),
      );
      for (const together of ranges) {
        const blocks = together.reduce((sum, range) => sum + range.partition.blocks, 0);
        expect(together.length === 1 || (together.length <= 5 && blocks <= 10)).toBe(true);
        expect(together.length === 1 || together.every(({ whole }) => whole)).toBe(true);
      }
    }
  });

  test('that are locked at once stay within what the lock table of a server has room for', () => {
    for (const parallelism of [1, 4, 16, 64]) {
      const locks = locksOfChunk(parallelism);
      const partitions = Array.from({ length: 500 }, (_, index) => partition(`indexed${index}`, 0, 1));
      const plan = planOf(packSmall(partitions, { blocks: 10, locks, locksOf, hasBlocks }), 10);
      const ranges = Array.from({ length: chunksOf(plan) }, (_, chunk) => rangesOfChunk(plan, chunk));
      const most = Math.max(...ranges.map(({ length }) => length));
      expect(most * 4 * parallelism).toBeLessThanOrEqual(1000);
      expect(most).toBe(Math.min(64, Math.floor(locks / 4)));
    }
  });
});

test('keys are copied together where rows are, without those that are done already', () => {
  const [one, four] = [partition('a', 1, 1), partition('d', 1, 1)];
  const partitions = [one, partition('b', 1, 0), partition('c', 1, 0), four, partition('e', 1, 0)];
  const plan = { ...planOf(partitions, 10), incremental: { keyChunks: 5 } } as unknown as ExtractionPlan;
  const together = (chunks: readonly number[]) =>
    putTogether(plan, chunks).map((span) => partitionsOf(plan, span).map(({ name }) => name).join('+')); // prettier-ignore
  expect(together([0, 1, 2, 3, 4, 5, 6])).toEqual(['a+b+c', 'd+e', 'a+b+c', 'd+e']);
  expect(together([2, 4, 5, 6])).toEqual(['a', 'c', 'd+e']);
});

describe('labels', () => {
  test('name each partition where there are few, and those that share a chunk together', () => {
    const plan = planOf([partition('a', 1, 1), partition('b', 1, 0), partition('c', 90, 9)], 10);
    expect(labelsOf(plan)).toEqual([
      { name: 'a to b', chunks: 1 },
      { name: 'c', chunks: 9 },
    ]);
  });

  test('are bounded, and account for every chunk', () => {
    const partitions = Array.from({ length: 10_000 }, (_, index) =>
      partition(`orders_${'x'.repeat(50)}_${String(index).padStart(5, '0')}`, 900, 100),
    );
    const labels = labelsOf(planOf(partitions, 9));
    expect(labels.length).toBeLessThanOrEqual(200);
    expect(labels.reduce((sum, { chunks }) => sum + chunks, 0)).toBe(1_000_000);
    expect(JSON.stringify(labels).length).toBeLessThan(64 * 1024);
    expect(labels[1]?.name).toMatch(/^orders_x+_00050 to orders_x+_00099$/);
  });
});

describe('a pattern', () => {
  test.each([
    ['orders_2024_01', 'orders_2024_*', true],
    ['orders_2024_01', 'orders_????_0?', true],
    ['orders_2024_01', 'orders_2024', false],
    ['orders_2024_01', '*', true],
    ['orders_2024_01', '*_0', false],
    ['orders_2024_01', '*2*2*4*1', true],
    ['a.b', 'a?b', true],
    ['axb', 'a.b', false],
    ['', '*', true],
    ['été', '?t?', true],
    ['aab', '*ab', true],
  ])('%s: %s is %s', (name, pattern, fits) => {
    expect(patternMatcher(pattern, '*?')(name)).toBe(fits);
  });

  test('of many stars is decided at once', () => {
    expect(patternMatcher(`${'*a'.repeat(140)}*b`, '*?')('a'.repeat(200))).toBe(false);
  });
});
