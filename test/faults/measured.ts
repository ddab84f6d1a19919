import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { faults } from './faults.ts';
import type { Hit } from './matrix.ts';
import { captureMoments, tableMoments, type Mode, type Moment } from './table-run.ts';

const FILE = join(PROJECT_ROOT, 'test/faults/measured.json');
const moments = [...tableMoments, ...captureMoments];

/** Runs by the fault that hit them, what they were doing, and how they write. */
export type Counts = Record<string, Partial<Record<Moment, Partial<Record<Mode, number>>>>>;

/** What the long form found when it ran last. */
export interface Measured {
  exact: Counts;
  /** Each with what was wrong. */
  wrong: Hit[];
}

export const readMeasured = (): Measured => JSON.parse(readFileSync(FILE, 'utf8')) as Measured;

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

export const countOf = ({ exact }: Measured, fault: string, moment: Moment, mode: Mode): number =>
  exact[fault]?.[moment]?.[mode] ?? 0;

export function totalOf({ exact }: Measured): number {
  const cells = Object.values(exact).flatMap((row) => Object.values(row));
  return cells.flatMap((cell) => Object.values(cell)).reduce((sum, runs) => sum + runs, 0);
}

/** What the table of the documentation has in its lines. */
export function measuredLines(measured: Measured): { readonly head: string[]; readonly rows: string[][] } {
  const head = ['fault', ...moments.map((moment) => (isOfCapture(moment) ? `capture: ${moment}` : moment))];
  const rows = faults.map(({ name }) => [name, ...moments.map((moment) => cellOf(measured, name, moment))]);
  return { head, rows };
}

const isOfCapture = (moment: Moment): boolean => captureMoments.some((one) => one === moment);

function cellOf({ exact, wrong }: Measured, fault: string, moment: Moment): string {
  const cell = exact[fault]?.[moment] ?? {};
  const failed = wrong.filter((hit) => hit.fault === fault && hit.moment === moment).length;
  const { replace = 0, append = 0, merge = 0, capture = 0 } = cell;
  const runs = isOfCapture(moment) ? `${capture}` : `${replace}/${append}/${merge}`;
  if (failed > 0) return `${failed} wrong`;
  return replace + append + merge + capture === 0 ? '' : `exact ${runs}`;
}
