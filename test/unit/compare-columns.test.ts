import { describe, expect, test } from 'vitest';
import { compareColumns, type ColumnChanges, type LiveColumn } from '../../src/bronze/cdc/compare-columns.ts';

const column = (name: string, typeOid = 23) => ({ name, typeOid, modifier: -1, isKey: false });
const known = (name: string, number: number) => ({ name, typeOid: 23, modifier: -1, number, version: '1' });

interface Live {
  readonly columns: Readonly<Record<string, number | Partial<LiveColumn>>>;
  /** True if the table was rewritten since the columns became known. */
  readonly rewritten?: boolean;
}

/** Compares with the known columns a, number 1, and b, number 2. */
function compared(sent: readonly ReturnType<typeof column>[], live: Live | 'gone'): ColumnChanges {
  const catalog = { oid: 7, files: { 7: 70, 8: 80 }, width: 2 };
  const table = { columns: [known('a', 1), known('b', 2)], catalog };
  if (live === 'gone') return compareColumns(table, { columns: sent }, undefined);
  const columns = Object.entries(live.columns).map(([name, told]): [string, LiveColumn] => [
    name,
    {
      number: 0,
      version: '1',
      missing: null,
      parts: null,
      ...(typeof told === 'number' ? { number: told } : told),
    },
  ]);
  const files = live.rewritten === true ? { 7: 71 } : { 7: 70 };
  return compareColumns(
    table,
    { columns: sent },
    { ...catalog, files, columns: new Map(columns), doubts: [] },
  );
}

const nothing = { renamed: [], added: [], retyped: [], doubts: [] };
const isAnother = (name: string) => `column "${name}" is not the column that had this name before`;
const mayDiffer = (name: string) => `column "${name}" was added with values that may differ by row`;
const anew = (name: string) => `column "${name}" was redefined and its rows were rewritten`;

describe('columns are compared', () => {
  test('by their numbers in the catalog: renamed, or dropped and added', () => {
    const sent = [column('a'), column('c')];
    const renamed = compared(sent, { columns: { a: 1, c: 2 } });
    expect(renamed).toMatchObject({ ...nothing, renamed: [{ from: 'b', to: 'c' }] });
    const exchanged = compared(sent, { columns: { a: 1, c: 3 } });
    expect(exchanged).toMatchObject({ ...nothing, added: [{ name: 'c', missing: null }] });
  });

  test('and one that has the name of another is in doubt, even if no description says so', () => {
    const same = [column('a'), column('b')];
    expect(compared(same, { columns: { a: 1, b: 2 } })).toMatchObject(nothing);
    expect(compared(same, { columns: { a: 1, b: 3 } }).doubts).toEqual([isAnother('b')]);
    expect(compared(same, { columns: { a: 2, b: 1 } }).doubts).toEqual([isAnother('a'), isAnother('b')]);
    const chain = compared([column('b'), column('c')], { columns: { b: 1, c: 2 } });
    expect(chain.doubts).toEqual([isAnother('b')]);
  });

  test('by their place where the catalog has gone on, and has the column by another name', () => {
    const sent = [column('a'), column('c')];
    const renamed = compared(sent, { columns: { a: 1, d: 2 } });
    expect(renamed).toMatchObject({ ...nothing, renamed: [{ from: 'b', to: 'c' }] });
    expect(renamed.columns).toEqual([known('a', 1), known('c', 2)]);
    // it may have been dropped, or be the one that the catalog has under a name not sent yet
    expect(compared(sent, { columns: { a: 1 } })).toMatchObject({ ...nothing, added: [{ name: 'c' }] });
    expect(compared(sent, { columns: { a: 1, d: 3 } }).doubts).toEqual([mayDiffer('c')]);
    expect(compared(sent, 'gone')).toMatchObject({ ...nothing, added: [{ name: 'c' }] });
  });

  test('and what seems to be added is in doubt while a known one must be there by a name that the catalog has no more', () => {
    const may = (name: string) =>
      `column "${name}" may be another than the one that has this name in the source now`;
    const retyped = [column('a'), column('c', 20)];
    expect(compared(retyped, { columns: { a: 1, d: 2 } }).doubts).toEqual([may('c')]);
    expect(compared(retyped, { columns: { a: 1, b: 2 } }).doubts).toEqual([may('c')]);
    const taken = compared([column('a'), column('c')], { columns: { a: 1, d: 2, c: 3 } });
    expect(taken.doubts).toEqual([may('c')]);
    const after = [column('a'), column('c'), column('e')];
    expect(compared(after, { columns: { a: 1, d: 2, e: 3 } })).toMatchObject({
      ...nothing,
      renamed: [{ from: 'b', to: 'c' }],
      added: [{ name: 'e' }],
    });
    expect(compared(after, { columns: { a: 1, c: 3, e: 4 } })).toMatchObject({
      ...nothing,
      added: [{ name: 'c' }, { name: 'e' }],
    });
  });

  test('and one whose name the catalog gave to another meanwhile has no number, so that the other is noticed', () => {
    const { added, columns } = compared([column('a'), column('b'), column('c')], { columns: { c: 1, b: 2 } });
    expect(added).toMatchObject([{ name: 'c', missing: null }]);
    expect(columns.map(({ number }) => number)).toEqual([1, 2, 0]);
  });

  test('and an added one is in doubt if another that was added before it may have had its name', () => {
    const isDoubted = (names: readonly string[], columns: Readonly<Record<string, number>>) => {
      const sent = ['a', 'b', ...names].map((name) => column(name));
      return compared(sent, { columns: { a: 1, b: 2, ...columns } }).doubts;
    };
    const mayBeAnother = (name: string) =>
      `column "${name}" may be another than the one that has this name in the source now`;
    expect(isDoubted(['c'], { c: 4 })).toEqual([mayBeAnother('c')]);
    expect(isDoubted(['c'], { d: 3, c: 4 })).toEqual([mayBeAnother('c')]);
    expect(isDoubted(['c', 'd'], { d: 3, c: 4 })).toEqual([mayBeAnother('c')]);
    expect(isDoubted(['c', 'd'], { c: 3, d: 4 })).toEqual([]);
    expect(isDoubted(['c'], { c: 3, d: 4 })).toEqual([]);
  });

  test('and one that was there before it was sent is in doubt: it was generated', () => {
    const wide = { columns: [known('a', 1)], catalog: { oid: 7, files: { 7: 70 }, width: 2 } };
    const live = (number: number) => ({
      ...wide.catalog,
      doubts: [],
      columns: new Map([['a', 1] as const, ['b', number] as const].map(([name, of]) => [name, { number: of, version: '1', missing: null, parts: null }])), // prettier-ignore
    });
    const sent = { columns: [column('a'), column('b')] };
    expect(compareColumns(wide, sent, live(2)).doubts).toEqual([
      'column "b" was there before it was sent (it was generated, say)',
    ]);
    expect(compareColumns(wide, sent, live(3)).doubts).toEqual([]);
  });

  test('and by what the texts of their types depend on', () => {
    const parts = { 1: 'fine', 2: 'bad' };
    const mood = { columns: [{ ...known('m', 1), parts }], catalog: { oid: 7, files: { 7: 70 }, width: 1 } };
    const doubts = (now: Record<string, string>) => {
      const columns = new Map([['m', { number: 1, version: '1', missing: null, parts: now }]]);
      return compareColumns(mood, { columns: [column('m')] }, { ...mood.catalog, doubts: [], columns })
        .doubts;
    };
    expect(doubts({ ...parts, 3: 'added' })).toEqual([]);
    expect(doubts({ ...parts, 2: 'poor' })).toEqual([
      'column "m" has a type whose labels or attributes were changed',
    ]);
  });

  test('by type and modifier', () => {
    const changes = compared([column('a', 20), column('b')], { columns: { a: 1, b: 2 } });
    expect(changes).toMatchObject({ ...nothing, retyped: [{ name: 'a', typeOid: 20 }], rewritten: false });
    const defined = { a: { number: 1, version: '2' }, b: 2 };
    const rewritten = compared([column('a', 20), column('b')], { columns: defined, rewritten: true });
    expect(rewritten).toMatchObject({ ...nothing, retyped: [{ name: 'a' }], rewritten: true });
  });

  test('and by whether rows were written anew, together with what was defined anew', () => {
    const rewritten = true;
    const same = [column('a'), column('b')];
    // VACUUM FULL, TRUNCATE
    expect(compared(same, { columns: { a: 1, b: 2 }, rewritten })).toMatchObject(nothing);
    // USING, but also SET NOT NULL
    const defined = { a: 1, b: { number: 2, version: '2' } };
    expect(compared(same, { columns: defined, rewritten }).doubts).toEqual([anew('b')]);
    expect(compared(same, { columns: defined })).toMatchObject(nothing);
    const more = [...same, column('c')];
    expect(compared(more, { columns: { a: 1, b: 2, c: 3 }, rewritten }).doubts).toEqual([mayDiffer('c')]);
    const filled = { a: 1, b: 2, c: { number: 3, missing: '7' } };
    expect(compared(more, { columns: filled, rewritten })).toMatchObject({
      doubts: [],
      added: [{ missing: '7' }],
    });
  });

  test('what the catalog says of rows is kept for the column that the stream has yet to send', () => {
    const early = compared([column('a'), column('b')], { columns: { a: 1, b: 2, c: 3 }, rewritten: true });
    expect(early).toMatchObject({ ...nothing, catalog: { files: { 7: 70 } } });
    const defined = { a: 1, b: { number: 2, version: '2' }, c: 3 };
    expect(compared([column('a'), column('b')], { columns: defined }).columns).toEqual([
      known('a', 1),
      known('b', 2),
    ]);
    const late = compared([column('a'), column('b')], { columns: { a: 1, b: 2 }, rewritten: true });
    expect(late).toMatchObject({ ...nothing, catalog: { files: { 7: 71 } } });
  });
});
