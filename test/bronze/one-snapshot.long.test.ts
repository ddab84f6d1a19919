// @module-tag long
import { afterAll, beforeAll, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectOneMoment } from './moving-rows.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('chunks of any size that are copied at once, while rows move, come and go, show one moment', async () => {
  await expectOneMoment(lab, ['64kB', '256kB', '1MB']);
});
