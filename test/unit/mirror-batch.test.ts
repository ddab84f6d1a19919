import { describe, expect, test } from 'vitest';
import { MirrorBatch, type MirrorValue } from '../../src/bronze/cdc/mirror-batch.ts';
import { compareColumns, type LiveColumn } from '../../src/bronze/cdc/mirror-schema.ts';

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
    // with the whole old row it is known
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

describe('columns are compared', () => {
  const column = (name: string, typeOid = 23) => ({ name, typeOid, modifier: -1, isKey: false });
  const known = (name: string, number: number) => ({ name, typeOid: 23, modifier: -1, number });
  const live = (columns: Readonly<Record<string, number>>): Map<string, LiveColumn> =>
    new Map(
      Object.entries(columns).map(([name, number]) => [name, { number, missing: null, hasDefault: false }]),
    );

  test('by their numbers in the catalog: renamed, or dropped and added', () => {
    const before = [known('a', 1), known('b', 2)];
    const renamed = compareColumns(before, { columns: [column('a'), column('c')] }, live({ a: 1, c: 2 }));
    expect(renamed).toMatchObject({ renamed: [{ from: 'b', to: 'c' }], added: [], retyped: [] });
    const exchanged = compareColumns(before, { columns: [column('a'), column('c')] }, live({ a: 1, c: 3 }));
    expect(exchanged).toMatchObject({ renamed: [], added: [{ name: 'c' }], retyped: [] });
  });

  test('by their place where the catalog has gone on', () => {
    const before = [known('a', 1), known('b', 2)];
    const renamed = compareColumns(before, { columns: [column('a'), column('c')] }, live({ a: 1, d: 2 }));
    expect(renamed).toMatchObject({ renamed: [{ from: 'b', to: 'c' }], added: [] });
    expect(renamed.columns).toEqual([known('a', 1), known('c', 2)]);
  });

  test('by type and modifier', () => {
    const changes = compareColumns([known('a', 1)], { columns: [column('a', 20)] }, live({ a: 1 }));
    expect(changes).toMatchObject({ renamed: [], added: [], retyped: [{ name: 'a', typeOid: 20 }] });
  });
});
