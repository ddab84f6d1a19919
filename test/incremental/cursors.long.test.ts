import { afterAll, beforeAll, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { cursors, endless, expectNoCheckpoint, expectOrderedByValue } from './cursor-types.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test.each(cursors.map((cursor, index) => ({ ...cursor, table: `c${index}` })))(
  'a cursor of type $type is ordered by value and kept in full, without an index',
  async ({ table, ...cursor }) => {
    await expectOrderedByValue(lab, table, cursor, 'without');
  },
);

test.each(endless.map((values, index) => ({ ...values, table: `e${index}` })))(
  'a $type of $most becomes no checkpoint',
  async ({ table, ...values }) => {
    await expectNoCheckpoint(lab, table, values);
  },
);
