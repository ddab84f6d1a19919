import { describe, expect, test } from 'vitest';
import { MirrorBatch, type MirrorValue } from '../../src/bronze/cdc/mirror-batch.ts';

const statesOf = (batch: MirrorBatch) => [...batch.states.values()].map(({ key, row }) => [key.join(), row]);
const newBatch = () => new MirrorBatch(['id', 'v', 'big'], [0]);

describe('the net effect of changes', () => {
  test('is the last state of each key, with what was not sent from the state before', () => {
    const batch = newBatch();
    batch.insert(['1', 'a', 'large']);
    expect(batch.update(['1', 'b', undefined], undefined)).toBe(true);
    expect(batch.update(['2', null, undefined], ['1', undefined, undefined])).toBe(true);
    batch.insert(['3', 'c', null]);
    batch.delete(['3', undefined, undefined]);
    expect(statesOf(batch)).toEqual([
      ['1', 'deleted'],
      ['2', ['2', null, 'large']],
      ['3', 'deleted'],
    ]);
  });

  test('leaves what is not known here to the warehouse, and a new key with it to a statement of its own', () => {
    const batch = newBatch();
    expect(batch.update(['1', 'a', undefined], undefined)).toBe(true);
    expect(batch.update(['1', 'b', undefined], undefined)).toBe(true);
    expect(statesOf(batch)).toEqual([['1', ['1', 'b', undefined]]]);
    expect(batch.update(['2', 'b', undefined], ['1', undefined, undefined])).toBe(false);
    // known from the whole old row
    expect(batch.update(['2', 'b', undefined], ['1', 'b', 'large'])).toBe(true);
  });

  test('begins anew with TRUNCATE', () => {
    const batch = newBatch();
    batch.insert(['1', 'a', 'x']);
    batch.truncate();
    batch.insert(['2', 'b', 'y']);
    expect([batch.truncated, statesOf(batch)]).toEqual([
      true,
      [['2', ['2', 'b', 'y'] satisfies MirrorValue[]]],
    ]);
  });
});
