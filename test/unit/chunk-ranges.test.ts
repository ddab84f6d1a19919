import { describe, expect, test } from 'vitest';
import { chunkCount, type ExtractionPlan, type PlannedPartition } from '../../src/bronze/plan.ts';
import {
  blocksPerChunk,
  chunksOf,
  rangesOfChunk,
  type ChunkRange,
} from '../../src/extraction/plan/chunk-ranges.ts';
import { seeded } from '../setup/seeded.ts';

const GB = 1024 ** 3;
const TB = 1024 ** 4;

function planOf(sizes: readonly number[], perChunk: number): ExtractionPlan {
  const partitions: PlannedPartition[] = sizes.map((blocks, index) => ({
    schema: 'public',
    name: `part_${index}`,
    oid: index + 1,
    fileNode: index + 1,
    blocks,
    chunks: chunksOf(blocks, perChunk),
  }));
  return {
    source: 'default',
    sourceUri: 'postgresql://host/database',
    table: { schema: 'public', name: 'orders' },
    target: 'br_orders',
    columns: [],
    where: null,
    format: 'binary',
    size: 0,
    blocksPerChunk: perChunk,
    partitions,
    tree: '',
    seenAt: '2026-01-01',
    reading: '',
    lockTimeout: 60_000,
    statementTimeout: null,
    stallTimeout: 600_000,
    warnings: [],
  };
}

const rangesOf = (plan: ExtractionPlan): ChunkRange[] =>
  Array.from({ length: chunkCount(plan) }, (_, chunk) => rangesOfChunk(plan, chunk)).flat();

/** Expects the chunks of each partition to start at block 0 and leave no gap or overlap, with an open end. */
function expectCover(plan: ExtractionPlan): void {
  const ranges = rangesOf(plan);
  for (const partition of plan.partitions) {
    const own = ranges.filter((range) => range.partition === partition);
    expect(own).toHaveLength(partition.chunks);
    expect(own[0]?.fromBlock).toBe(0);
    for (const [index, { toBlock }] of own.entries()) expect(toBlock).toBe(own[index + 1]?.fromBlock);
    expect(own.every(({ whole }) => whole === (own.length === 1))).toBe(true);
  }
}

describe('the ranges of all chunks', () => {
  test.each([
    ['one partition', [100], 10],
    ['a last chunk that is smaller', [101], 10],
    ['several partitions of different sizes', [100, 1, 37, 10], 10],
    ['empty partitions between others', [0, 25, 0, 0, 5], 10],
    ['only empty ones', [0, 0], 10],
    ['a chunk of one block', [7], 1],
    ['a chunk larger than all', [7, 9], 10_000_000],
  ])('cover each block once, the end open: %s', (_name, sizes, perChunk) => {
    expectCover(planOf(sizes, perChunk));
  });

  test('cover each block once, whatever the sizes', () => {
    const random = seeded(3);
    for (let round = 0; round < 300; round += 1) {
      const sizes = Array.from({ length: 1 + Math.floor(random() * 6) }, () => Math.floor(random() * 200));
      expectCover(planOf(sizes, 1 + Math.floor(random() * 60)));
    }
  });

  test('an empty partition has a chunk too: rows may arrive before the snapshot', () => {
    expect(rangesOf(planOf([0], 10))).toMatchObject([{ fromBlock: 0, whole: true }]);
  });

  test('there is no chunk past the last', () => {
    const plan = planOf([100, 20], 10);
    expect(() => rangesOfChunk(plan, 12)).toThrow('The plan has no chunk 12');
  });
});

describe('blocksPerChunk', () => {
  const sizing = { totalBlocks: TB / 8192, blockSize: 8192, parallelism: 4 };

  test.each([
    ['1 byte is a block', 1, 1],
    ['1 kB is a block', 1024, 1],
    ['64 MB', 64 * 1024 ** 2, 8192],
    ['a size between two blocks is the next', 8193, 2],
    ['10 TB', 10 * TB, (10 * TB) / 8192],
  ])('is what the input says: %s', (_name, chunkSize, blocks) => {
    expect(blocksPerChunk({ ...sizing, chunkSize })).toBe(blocks);
  });

  test('10 TB a chunk makes one chunk of a table of 1 TB', () => {
    expect(chunksOf(sizing.totalBlocks, blocksPerChunk({ ...sizing, chunkSize: 10 * TB }))).toBe(1);
  });

  test('without it, chunks are seconds of work: not tiny, not huge, at least several for each of the copies', () => {
    const bytes = (totalBytes: number) =>
      blocksPerChunk({ ...sizing, totalBlocks: totalBytes / 8192 }) * 8192;
    expect(bytes(0)).toBe(16 * 1024 ** 2);
    expect(bytes(100 * TB)).toBe(256 * 1024 ** 2);
    expect((2 * GB) / bytes(2 * GB)).toBeGreaterThanOrEqual(4 * sizing.parallelism);
  });

  test('the size of a block is the server’s', () => {
    expect(blocksPerChunk({ ...sizing, blockSize: 32768, chunkSize: 32768 * 3 })).toBe(3);
  });
});
