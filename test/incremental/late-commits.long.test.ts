// @module-tag long
import { afterAll, beforeAll, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectLateRows } from './late-rows.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('a row that is set by the clock of UTC and committed late is in bronze after the next run', async () => {
  await expectLateRows(lab, 'late', { type: 'timestamp', value: `now() AT TIME ZONE 'UTC'` });
});
