import { describe, expect, test } from 'vitest';
import { MirrorBatch, type MirrorValue } from '../../src/bronze/cdc/mirror-batch.ts';

const statesOf = (batch: MirrorBatch) => [...batch.states.values()].map(({ key, row }) => [key.join(), row]);
const newBatch = () => new MirrorBatch(['id', 'v', 'big'], [0]);

describe('the net effect of changes', () => {
  test('is the last state of each key, with what was not sent from the state before', () => {
    const batch = newBatch();
    batch.insert(['1', 'a', 'large']);
    expect(batch.update(['1', 'b', undefined], undefined)).toBeUndefined();
    expect(batch.update(['2', null, undefined], ['1', undefined, undefined])).toBeUndefined();
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
    expect(batch.update(['1', 'a', undefined], undefined)).toBeUndefined();
    expect(batch.update(['1', 'b', undefined], undefined)).toBeUndefined();
    expect(statesOf(batch)).toEqual([['1', ['1', 'b', undefined]]]);
    expect(batch.update(['2', 'b', undefined], ['1', undefined, undefined])).toEqual({
      from: ['1'],
      to: ['2'],
      values: ['2', 'b', undefined],
    });
    // known from the whole old row
    expect(batch.update(['2', 'b', undefined], ['1', 'b', 'large'])).toBeUndefined();
  });

  test('finds a key that was sent with the old row only, and takes no NULL for a value that was not sent', () => {
    const batch = newBatch();
    expect(batch.update([undefined, 'a', null], ['1', undefined, undefined])).toBeUndefined();
    expect(batch.update([undefined, 'b', null], ['2', undefined, undefined])).toBeUndefined();
    expect(batch.update(['3', 'c', undefined], ['3', null, null])).toBeUndefined();
    expect(statesOf(batch)).toEqual([
      ['1', ['1', 'a', null]],
      ['2', ['2', 'b', null]],
      ['3', ['3', 'c', undefined]],
    ]);
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
