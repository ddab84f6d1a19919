import { z } from 'zod';
import { sourceName } from './extract-table.ts';
import { tableName } from './table-name.ts';

const MOST_TABLES = 1_000;

/** The input of the workflow `checkSource`. */
export const checkSourceInput = z.strictObject({
  source: sourceName.default('default').describe('The source to check.'),
  tables: z
    .array(tableName)
    .max(MOST_TABLES, `expected at most ${MOST_TABLES} tables`)
    .optional()
    .describe('The tables that you want to extract. Default: all tables that the role can see.'),
});

export type CheckSourceInput = z.output<typeof checkSourceInput>;
export type CheckSourceRequest = z.input<typeof checkSourceInput>;

export const checkSourceExample: CheckSourceRequest = { source: 'default', tables: ['sales.orders'] };

/** `problem`: a run would fail or be wrong. `warning`: something to know or fix. */
export type FindingState = 'ok' | 'warning' | 'problem';

export interface Finding {
  /** The item checked: `version`, `encryption`, `privileges on sales.orders`. */
  readonly check: string;
  readonly state: FindingState;
  readonly found: string;
  /** What to do about it; present unless the state is ok. */
  readonly advice?: string;
}

/** The result of the workflow `checkSource`. */
export interface CheckSourceResult {
  readonly source: string;
  /** True if a run can be expected to succeed. */
  readonly ok: boolean;
  readonly problems: number;
  readonly warnings: number;
  readonly findings: readonly Finding[];
}

export function summarize(source: string, findings: readonly Finding[]): CheckSourceResult {
  const count = (state: FindingState) => findings.filter((finding) => finding.state === state).length;
  const problems = count('problem');
  return { source, ok: problems === 0, problems, warnings: count('warning'), findings };
}

export const fine = (check: string, found: string): Finding => ({ check, state: 'ok', found });
export const warning = (check: string, found: string, advice: string): Finding => ({
  check,
  state: 'warning',
  found,
  advice,
});
export const problem = (check: string, found: string, advice: string): Finding => ({
  check,
  state: 'problem',
  found,
  advice,
});
