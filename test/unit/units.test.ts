import { expect, test } from 'vitest';
import { parseDatabaseInput } from '../../src/contract/extract-database.ts';
import { Units } from '../../src/workflows/units.ts';

/** Units of a run that may have six sessions, of which two hold the snapshot of all tables. */
const sparingUnits = (): Units =>
  new Units(parseDatabaseInput({ tables: ['public.*'], parallelism: 8, maxSourceConnections: 6 }).input);

const table = (most: number, holds = false) => ({ tables: [], most, holds });

test('a table that holds a snapshot of its own begins once there are two sessions for it', () => {
  const units = sparingUnits();
  const { unit } = units.begin(table(3), 1);
  expect(unit.width).toBe(3);
  expect(units.hasRoomFor({ holds: true })).toBe(false);
  expect(units.hasRoomFor({ holds: false })).toBe(true);
  units.end(unit);
  expect(units.begin(table(2), 1).unit.width).toBe(2);
  expect(units.hasRoomFor({ holds: true })).toBe(true);
});

test('a table that holds a snapshot of its own has one copy fewer for it', () => {
  const units = sparingUnits();
  units.begin(table(2), 1);
  expect(units.begin(table(9, true), 1).unit.width).toBe(1);
  expect(units.hasRoomFor({ holds: false })).toBe(false);
  expect(units.spread(0)).toEqual([]);
});

test('copies are kept for tables that wait and may begin, and given to others once none does', () => {
  const units = sparingUnits();
  const { unit } = units.begin(table(9), 4);
  expect(unit.width).toBe(2);
  expect(units.spread(3)).toEqual([]);
  expect(units.spread(0)).toEqual([unit]);
  expect(unit.width).toBe(4);
});
