import type { CheckSourceResult, FindingState } from '../contract/check-source.ts';
import { counted } from '../contract/quantities.ts';

const marks: Readonly<Record<FindingState, string>> = { ok: 'ok', warning: 'WARNING', problem: 'PROBLEM' };

/** Formats the findings for people: a line for each, and below it what to do. */
export function doctorReport({ source, findings, problems, warnings }: CheckSourceResult): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, state, found, advice }) => [
    `  ${marks[state].padEnd(8)} ${check.padEnd(width)}  ${found}`,
    ...(advice === undefined ? [] : [`  ${' '.repeat(8 + width + 1)}  → ${advice}`]),
  ]);
  return [
    `Source "${source}": ${counted(problems, 'problem')}, ${counted(warnings, 'warning')}`,
    ...lines,
    '',
  ].join('\n');
}
