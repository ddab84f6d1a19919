// @module-tag long
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { cursors, endless, expectNoCheckpoint, expectOrderedByValue } from './cursor-types.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

describe.each(cursors.map((cursor, index) => ({ ...cursor, table: `c${index}` })))(
  'a cursor of type $type is ordered by value and kept in full,',
  ({ table, ...cursor }) => {
    test('with an index', async () => {
      await expectOrderedByValue(lab, `${table}_indexed`, cursor, 'with an index');
    });

    test('without', async () => {
      await expectOrderedByValue(lab, table, cursor, 'without');
    });
  },
);

test.each(endless.map((values, index) => ({ ...values, table: `e${index}` })))(
  'a $type of $most becomes no checkpoint',
  async ({ table, ...values }) => {
    await expectNoCheckpoint(lab, table, values);
  },
);
