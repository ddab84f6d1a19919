import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { faults } from './faults.ts';
import type { Hit } from './matrix.ts';
import { isOfCapture, modesOf, moments, type Mode, type Moment } from './table-run.ts';

const FILE = join(PROJECT_ROOT, 'test/faults/measured.json');

/** Numbers of runs by the fault that hit them, what they were doing, and their write mode. */
export type Counts = Record<string, Partial<Record<Moment, Partial<Record<Mode, number>>>>>;

/** Results of the last `npm run test:faults`. */
export interface Measured {
  exact: Counts;
  /** Results with earlier code, for cells that have not been hit since. */
  earlier: Counts;
  /** Each with its problems. */
  wrong: Hit[];
}

export const readMeasured = (): Measured => JSON.parse(readFileSync(FILE, 'utf8')) as Measured;

/** Starts over; earlier exact results are shown until their cell is hit again. */
export function measuredAnew({ exact, earlier }: Measured): Measured {
  const before: Counts = {};
  for (const { name } of faults) {
    const row: Counts[string] = (before[name] = {});
    for (const moment of moments) row[moment] = { ...earlier[name]?.[moment], ...exact[name]?.[moment] };
  }
  return { exact: {}, earlier: before, wrong: [] };
}

export function writeMeasured(measured: Measured): void {
  writeFileSync(FILE, `${JSON.stringify(measured, null, 2)}\n`);
}

export function count(measured: Measured, hit: Hit): void {
  if (hit.problems.length > 0) {
    measured.wrong.push(hit);
    return;
  }
  const cell = ((measured.exact[hit.fault] ??= {})[hit.moment] ??= {});
  cell[hit.mode] = (cell[hit.mode] ?? 0) + 1;
}

export const countIn = (counts: Counts, fault: string, moment: Moment, mode: Mode): number =>
  counts[fault]?.[moment]?.[mode] ?? 0;

export function totalOf({ exact }: Measured): number {
  const cells = Object.values(exact).flatMap((row) => Object.values(row));
  return cells.flatMap((cell) => Object.values(cell)).reduce((sum, runs) => sum + runs, 0);
}

/** Returns the rows of the table in the documentation. */
export function measuredLines(measured: Measured): { readonly head: string[]; readonly rows: string[][] } {
  const head = ['fault', ...moments.map((moment) => (isOfCapture(moment) ? `capture: ${moment}` : moment))];
  const rows = faults.map(({ name }) => [name, ...moments.map((moment) => cellOf(measured, name, moment))]);
  return { head, rows };
}

/** Counts all cells, those that were hit, and those that were only hit with earlier code. */
export function cellsMet({ exact, earlier }: Measured): { all: number; met: number; earlier: number } {
  const cells = faults.flatMap(({ name }) =>
    moments.flatMap((moment) =>
      modesOf(moment).map((mode) => [exact, earlier].map((counts) => countIn(counts, name, moment, mode))),
    ),
  );
  const met = cells.filter(([now = 0]) => now > 0).length;
  const before = cells.filter(([now = 0, once = 0]) => now === 0 && once > 0).length;
  return { all: cells.length, met, earlier: before };
}

function cellOf({ exact, earlier, wrong }: Measured, fault: string, moment: Moment): string {
  const failed = wrong.filter((hit) => hit.fault === fault && hit.moment === moment).length;
  if (failed > 0) return `${failed} wrong`;
  const runs = modesOf(moment).map((mode) => {
    const [now, once] = [exact, earlier].map((counts) => countIn(counts, fault, moment, mode));
    return now === 0 && once !== undefined && once > 0 ? `(${once})` : `${now}`;
  });
  return runs.every((run) => run === '0') ? '' : `exact ${runs.join('/')}`;
}
