import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { faultsTable } from '../packaging/generated-tables.ts';
import { faults } from './faults.ts';
import { FaultStack } from './fault-stack.ts';
import { cellsOf, Matrix, type Aim } from './matrix.ts';
import {
  count,
  countIn,
  measuredAnew,
  readMeasured,
  totalOf,
  writeMeasured,
  type Measured,
} from './measured.ts';
import { seeded } from '../setup/seeded.ts';

const {
  /** Number of runs to hit; every possible cell is aimed at first. */
  FAULT_RUNS = '300',
  FAULT_SEED = String(randomInt(2 ** 31)),
  /** If set, continues the existing table. */
  FAULT_GO_ON,
  /** Ends earlier, after this many minutes. */
  FAULT_MINUTES = '300',
} = process.env;

/** Some moments pass so fast that aiming at them fails now and then. */
const MOST_TRIES = 8;
/** Captures are streaming most of the time, so they would be hit in every round. */
const ENOUGH = 1;

test('each fault at each moment: exact, nothing copied twice, nothing left', async () => {
  say(`FAULT_SEED=${FAULT_SEED}`);
  const random = seeded(Number(FAULT_SEED));
  const measured: Measured = FAULT_GO_ON === undefined ? measuredAnew(readMeasured()) : readMeasured();
  await using stack = await FaultStack.open({ workers: 2, versions: true, smallDisk: true });
  const possible = faults.filter(({ isPossible }) => isPossible?.(stack) ?? true);
  for (const { name } of faults.filter((fault) => !possible.includes(fault)))
    say(`not possible here: ${name}`);
  const matrix = new Matrix(stack, random);
  const tries = new Map<Aim, number>();
  const cells = cellsOf(possible);
  const until = Date.now() + Number(FAULT_MINUTES) * 60_000;
  while (Date.now() < until) {
    const runs = ({ fault, moment, mode }: Aim) => countIn(measured.exact, fault.name, moment, mode);
    const empty = cells.filter((cell) => runs(cell) === 0 && (tries.get(cell) ?? 0) < MOST_TRIES);
    if (empty.length === 0 && totalOf(measured) >= Number(FAULT_RUNS)) break;
    const { earlier } = measured;
    const never = empty.filter((cell) => countIn(earlier, cell.fault.name, cell.moment, cell.mode) === 0);
    const candidates = [never, empty, cells].find(({ length }) => length > 0) ?? [];
    const aim = candidates[Math.floor(random() * candidates.length)];
    if (aim === undefined) break;
    tries.set(aim, (tries.get(aim) ?? 0) + 1);
    const began = performance.now();
    const seldom = runs({ ...aim, moment: 'streaming', mode: 'capture' }) < ENOUGH;
    const hits = await matrix.round(aim, seldom);
    for (const hit of hits) count(measured, hit);
    writeMeasured(measured);
    const took = Math.round((performance.now() - began) / 1000);
    say(
      `${totalOf(measured)} exact, ${measured.wrong.length} wrong, ${empty.length} to aim at; ${took} s: ${aim.fault.name} at ${aim.moment} of ${aim.mode}: ${hits.map(({ mode, moment }) => `${mode} ${moment}`).join(', ')}`,
    );
    for (const { mode, problems } of hits) for (const problem of problems) say(`  ${mode}: ${problem}`);
  }
  say(faultsTable(measured));
  expect(measured.wrong).toEqual([]);
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
