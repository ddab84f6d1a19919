import { z } from 'zod';
import { duration } from './quantities.ts';
import type { Refuse } from './refuse.ts';
import { isAlmostRelative } from './scheduled-time.ts';
import { identifier } from './table-name.ts';

/** How far behind the checkpoint to read again: a span of time, or an amount for numeric cursors. */
export interface Lookback {
  readonly unit: 'milliseconds' | 'amount';
  /** A decimal number, as text. */
  readonly size: string;
}

const expectedLookback = 'expected a duration such as "1 hour", a number for a numeric cursor, or 0';

const lookback = z
  .union([z.string(), z.number()], { error: expectedLookback })
  .transform((given, context): Lookback => {
    const text = String(given).trim();
    if (/^0(\s*[a-z]+)?$/i.test(text)) return { unit: 'amount', size: '0' };
    if (/^\d{1,100}(\.\d{1,100})?$/.test(text)) return { unit: 'amount', size: text };
    const span = duration.safeParse(text);
    if (span.success) return { unit: 'milliseconds', size: String(span.data) };
    context.addIssue({ code: 'custom', message: expectedLookback });
    return z.NEVER;
  });

const expectedValue = 'expected a value of the cursor column, such as "2024-01-01" or 1000';
const expectedText = 'expected a value of 1 to 1,000 characters, such as "2024-01-01"';
const expectedNumber = 'expected a whole number below 2^53: write a greater one as text';
const expectedRelative = 'expected "scheduled", or a duration before or after it: "scheduled - 1 day"';
const cursorValue = z
  .union(
    [
      z
        .string()
        .min(1, expectedText)
        .max(1000, expectedText)
        .refine((text) => !isAlmostRelative(text), expectedRelative),
      z.int({ error: expectedNumber }),
    ],
    { error: expectedValue },
  )
  .transform((value) => String(value));

const incremental = z.strictObject({
  column: identifier.describe(
    'The cursor: a column that grows with every change of a row, preferably with an index.',
  ),
  lookback: lookback
    .optional()
    .describe(
      'How far behind the checkpoint to read again: "1 hour", or a number for a numeric cursor. Default: "1 hour" for times, "1 day" for dates, otherwise 0.',
    ),
  from: cursorValue
    .optional()
    .describe(
      'A backfill: read from this value on, instead of from the checkpoint. May be relative to the time of a schedule: "scheduled - 1 day".',
    ),
  to: cursorValue.optional().describe('A backfill: read values below this one.'),
});

/** The inputs of `extractTable` for incremental extraction. */
export const incrementalInputs = {
  incremental: incremental
    .optional()
    .describe('Extract only what is new, by a cursor column.')
    .meta({ examples: [{ column: 'updated_at' }] }),
  write: z
    .enum(['append', 'merge', 'replace-partitions'])
    .optional()
    .describe(
      'With "incremental": "append" (default) keeps every version of a row that was read, "merge" the newest of each key. Without: all rows are replaced, or with "replace-partitions" only the partitions that were read.',
    ),
  key: z
    .array(identifier)
    .min(1, 'expected at least one column; leave it out to use the primary key')
    .optional()
    .describe('The columns that identify a row. Default: the primary key.')
    .meta({ examples: [['id']] }),
  schemaChanges: z
    .enum(['evolve', 'freeze'])
    .optional()
    .describe(
      '"evolve" (default) follows columns that were added, dropped or widened. "freeze" fails instead.',
    ),
  resetCheckpoint: z
    .boolean()
    .optional()
    .describe('Forget the checkpoint and extract the whole table again.'),
  detectDeletes: z
    .boolean()
    .optional()
    .describe('Compare all keys, and set _bronze_deleted_at in rows that the source no longer has.'),
  currentView: z
    .boolean()
    .optional()
    .describe('Create the view bronze.<target>_current with the newest version of each key.'),
};

interface Dependent extends Record<string, unknown> {
  readonly incremental?: unknown;
  readonly consistency?: string;
  readonly key?: readonly string[] | undefined;
}

/** Refuses inputs that need `incremental` without it, and inputs that contradict it. */
export function checkIncrementalInputs(input: Dependent, refuse: Refuse): void {
  if (input.incremental === undefined) {
    for (const name of Object.keys(incrementalInputs)) {
      if (input[name] === undefined || input[name] === 'replace-partitions') continue;
      refuse(name, 'only allowed with "incremental"');
    }
  } else {
    if (input.consistency === 'none')
      refuse('consistency', '"none" is not allowed with "incremental", which must read one snapshot');
    if (input['largeObjects'] !== undefined) refuse('largeObjects', 'not supported with "incremental" yet');
  }
  if (input.key !== undefined && new Set(input.key).size < input.key.length)
    refuse('key', 'names a column twice');
}

/** The mechanism that keeps late-committing rows from being missed. */
export type Protection = 'oldest transaction' | 'lookback';

export interface SchemaChange {
  readonly column: string;
  readonly change: 'added' | 'dropped' | 'widened' | 'narrowed';
  /** The column's types before and after, if it had one. */
  readonly from: string | null;
  readonly to: string | null;
}

/** The outcome of a run with `incremental`, in its result and in the manifest. */
export interface IncrementalOutcome {
  readonly column: string;
  /** `full`: the first run, or one that started over. */
  readonly extraction: 'full' | 'incremental';
  /** The value that reading started from; null if everything was read. */
  readonly readFrom: string | null;
  readonly previousCheckpoint: string | null;
  readonly checkpoint: string | null;
  /** Why the checkpoint cannot have passed a row that commits later. */
  readonly protection: Protection;
  /** Rows that were not in bronze before: new ones, and with "append" also new versions. */
  readonly added: number;
  /** With "merge": rows that replaced an older version. */
  readonly replaced: number;
  /** Rows that were read again and were already in bronze. */
  readonly unchanged: number;
  /** Keys found to be deleted in the source. */
  readonly deleted: number;
  /** Rows without a value in the cursor column; increments never see them. */
  readonly nullCursors: number;
  readonly schemaChanges: readonly SchemaChange[];
}
