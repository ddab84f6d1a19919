import { expect, test } from 'vitest';
import type { CapturedTable } from '../../src/contract/capture-activities.ts';
import { CapturedTables } from '../../src/workflows/captured-tables.ts';

const good = { schema: 'public', name: 'good', copying: true };
const bad = { schema: 'public', name: 'bad', copying: true };
const names = (tables: readonly CapturedTable[]) => tables.map(({ name }) => name);

/** Two tables to be copied, of which one was given up. */
function withOneGivenUp(): CapturedTables {
  const tables = new CapturedTables(() => undefined);
  tables.set([good, bad]);
  tables.giveUp([bad]);
  return tables;
}

test('a copy that was given up is not made, although the warehouse still lists it', () => {
  const tables = withOneGivenUp();
  tables.set([good, bad]);
  expect(names(tables.copying)).toEqual(['good']);
  expect(names(tables.givenUp)).toEqual(['bad']);
});

test('a copy that was given up is made once its table is asked for, and no other', () => {
  const tables = withOneGivenUp();
  tables.giveUp([good]);
  tables.askFor([{ schema: 'public', name: 'bad' }]);
  tables.set([good, bad]);
  expect(names(tables.copying)).toEqual(['bad']);
  expect(names(tables.givenUp)).toEqual(['good']);
});

test('a copy that was given up is made once a stream needs it', () => {
  const tables = withOneGivenUp();
  tables.mark([bad], true);
  expect(names(tables.copying)).toEqual(['good', 'bad']);
  expect(tables.givenUp).toEqual([]);
});

test('a table that was removed and is added again is copied, whatever became of its earlier copy', () => {
  const tables = withOneGivenUp();
  tables.set([good]);
  tables.set([good, bad]);
  expect(names(tables.copying)).toEqual(['good', 'bad']);
});
