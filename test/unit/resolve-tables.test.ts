import { describe, expect, test } from 'vitest';
import type { NewMember } from '../../src/bronze/bookkeeping/database-runs.ts';
import { boundChildren } from '../../src/extraction/plan/resolve-tables.ts';

const MB = 1024 * 1024;

function tables(count: number, megabytes: (index: number) => number, more = {}): NewMember[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `t${index}${'analyze' in more ? 'a' : ''}`;
    const bytes = megabytes(index) * MB;
    const request = { table: name, ...more };
    return { schema: 'public', name, bytes, large: bytes > 16 * MB || 'analyze' in more, request };
  });
}

describe('tables that get workflows of their own', () => {
  test('are all large ones, the largest first', () => {
    const bounded = boundChildren(tables(40, (index) => index));
    expect(bounded.map(({ name }) => name).slice(0, 3)).toEqual(['t39', 't38', 't37']);
    expect(bounded.filter(({ large }) => large)).toHaveLength(23);
  });

  test('are no more than the history of their parent has room for: the smallest are packed', () => {
    const bounded = boundChildren([
      ...tables(5_000, (index) => 20 + index),
      ...tables(10, () => 1, { analyze: true }),
    ]);
    const alone = bounded.filter(({ large }) => large);
    expect(alone).toHaveLength(3_000);
    expect(alone.filter(({ request }) => request.analyze === true)).toHaveLength(10);
    expect(Math.min(...alone.map(({ bytes }) => bytes).filter((bytes) => bytes > MB))).toBe(
      (20 + 2_010) * MB,
    );
    expect(bounded).toHaveLength(5_010);
  });

  test('are refused where so many cannot be packed', () => {
    expect(() => boundChildren(tables(3_001, () => 1, { analyze: true }))).toThrow(
      '3001 tables need a workflow of their own, by their settings or because they are views or do not exist: public.t0a, public.t1a, public.t2a and 2998 more',
    );
  });

  test('are no more than one message can start, with their settings: the smallest are packed', () => {
    const more = { where: `id IN (${'1, '.repeat(200_000)}1)` };
    const bounded = boundChildren(tables(10, (index) => 20 + index, more));
    expect(bounded.filter(({ large }) => large).map(({ name }) => name)).toEqual([
      't9',
      't8',
      't7',
      't6',
      't5',
    ]);
  });
});
