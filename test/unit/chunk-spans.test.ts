import { describe, expect, test } from 'vitest';
import type { PlanSummary } from '../../src/contract/plan-summary.ts';
import { spanLabel, spansOf, stretchesOf } from '../../src/workflows/chunk-spans.ts';

type Partitions = readonly (readonly [name: string, chunks: number])[];

/** Returns a plan with this many chunks in all, the first of which belong to the partitions. */
const planOf = (chunks: number, partitions: Partitions): PlanSummary => ({
  planId: '1',
  target: 'bronze.br_orders',
  chunks,
  partitions: partitions.map(([name, of]) => ({ name, chunks: of })),
  partitionCount: partitions.length,
  warnings: [],
});

describe('spans', () => {
  test('have every chunk once, the longer ones first and single chunks at the end', () => {
    const spans = [...spansOf({ from: 0, count: 100 }, 100, () => 4)];
    expect(
      spans.flatMap(({ from, count }) => Array.from({ length: count }, (_, index) => from + index)),
    ).toEqual(Array.from({ length: 100 }, (_, index) => index));
    const counts = spans.map(({ count }) => count);
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
    expect([counts[0], counts.at(-1)]).toEqual([8, 1]);
  });

  test('of a plan with very many chunks grow, so that there are about 10,000', () => {
    const spans = [...spansOf({ from: 0, count: 1_000_000 }, 1_000_000, () => 8)];
    expect(spans.length).toBeLessThan(11_000);
    expect(spans[0]).toEqual({ from: 0, count: 100 });
  });

  test('of small chunks of keys are longer, and single chunks at the end too', () => {
    const spans = [...spansOf({ from: 0, count: 1000 }, 1000, () => 4, { from: 10, inSpan: 50 })];
    expect(spans.slice(0, 3)).toEqual([
      { from: 0, count: 8 },
      { from: 8, count: 8 },
      { from: 16, count: 50 },
    ]);
    expect(spans.at(-1)).toEqual({ from: 999, count: 1 });
  });

  test('a width of 0 asks for no chunk beyond the last', () => {
    expect([...spansOf({ from: 0, count: 11 }, 11, () => 0)]).toEqual([
      { from: 0, count: 8 },
      { from: 8, count: 3 },
    ]);
  });

  test('heed a width that changes meanwhile', () => {
    let width = 10;
    const spans = spansOf({ from: 0, count: 40 }, 40, () => width)[Symbol.iterator]();
    expect(spans.next().value).toEqual({ from: 0, count: 3 });
    width = 4;
    expect(spans.next().value).toEqual({ from: 3, count: 7 });
  });

  test.each([
    [{ from: 0, count: 1 }, 'jan, chunk 1 of 3'],
    [{ from: 1, count: 2 }, 'jan, chunks 2 to 3 of 3'],
    [{ from: 2, count: 3 }, 'jan, chunk 3 of 3 and more'],
    [{ from: 3, count: 1 }, 'feb'],
    [{ from: 4, count: 2 }, 'chunks 5 to 6 of 6'],
  ])('%j is called "%s"', (span, label) => {
    expect(spanLabel(planOf(6, [['jan', 3], ['feb', 1]]), span)).toBe(label); // prettier-ignore
  });
});

describe('stretches', () => {
  const names = (chunks: number, partitions: Partitions, most: number) =>
    stretchesOf(planOf(chunks, partitions), most).map(
      ({ name, from, count }) => `${name}: ${from} + ${count}`,
    );

  test('end where partitions do', () => {
    const partitions = [['jan', 30], ['feb', 30], ['mar', 60], ['apr', 40]] as const; // prettier-ignore
    expect(names(160, partitions, 60)).toEqual(['jan to feb: 0 + 60', 'mar: 60 + 60', 'apr: 120 + 40']);
  });

  test('are parts of a partition that is larger than one', () => {
    expect(names(150, [['early', 120], ['late', 30]], 100)).toEqual([
      'early, chunks 1 to 100 of 120: 0 + 100',
      'early, chunks 101 to 120 of 120 to late: 100 + 50',
    ]); // prettier-ignore
  });

  test('have chunks that are of no partition too', () => {
    expect(names(201, [], 100)).toEqual([
      'chunks 1 to 100 of 201: 0 + 100',
      'chunks 101 to 200 of 201: 100 + 100',
      'chunk 201 of 201: 200 + 1',
    ]);
  });
});
