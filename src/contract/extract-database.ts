import { z } from 'zod';
import {
  DEFAULT_PARALLELISM,
  extractTableInput,
  parallelism,
  sourceName,
  type ExtractTableRequest,
} from './extract-table.ts';
import { parseInput } from './parse-input.ts';
import { shareConnections, type ShareOfConnections } from './source-inputs.ts';
import { parseTablePattern } from './table-pattern.ts';
import { TableSelection } from './table-selection.ts';

const expectedPattern =
  'expected a table or a pattern such as "sales.orders", "public.*" or "!public.tmp_*"; quote a name that holds a dot, a quote or a star';

const pattern = z
  .string({ error: expectedPattern })
  .refine((text) => parseTablePattern(text) !== undefined, expectedPattern);

/** Inputs that are decided for all tables together, or by the entry itself. */
const notOfATable = {
  table: true,
  source: true,
  parallelism: true,
  consistency: true,
  maxSourceConnections: true,
} as const;

/** The settings of a table: inputs of `extractTable`, as written. */
const settings = z.strictObject(extractTableInput.shape).omit(notOfATable).partial();

const entry = z.union(
  [
    pattern,
    settings.extend({ table: pattern.describe('The table or pattern to which the settings apply.') }),
  ],
  { error: `${expectedPattern}; or an object with settings: {"table": "sales.orders", "where": "id > 5"}` },
);

/** The input of the workflow `extractDatabase`. */
export const extractDatabaseInput = z.strictObject({
  tables: z
    .array(entry)
    .min(1, 'expected at least one table or pattern')
    .describe(
      'Tables and patterns: "*" stands for any characters, "!" excludes. The last entry that matches a table decides whether it is extracted. An object adds settings of `extractTable` for its tables.',
    ),
  source: sourceName.default('default').describe('Which source to read.'),
  defaults: settings
    .omit({ target: true })
    .optional()
    .describe('Settings of `extractTable` for every table. Those in "tables" override them.'),
  parallelism: parallelism
    .default(DEFAULT_PARALLELISM)
    .describe('How many chunks are copied at once, of all tables together: 1 to 64.'),
  maxTablesAtOnce: parallelism
    .optional()
    .describe(
      'How many tables are copied at once; a pack of small tables counts as one. Default: "parallelism".',
    ),
  maxSourceConnections: z
    .int()
    .min(1)
    .optional()
    .describe(
      'Maximum number of sessions that the run has on the source at once, of all tables together and including those that hold snapshots. At least 3 with "consistency": "snapshot", 2 with "table".',
    ),
  consistency: z
    .enum(['snapshot', 'table', 'none'])
    .default('snapshot')
    .describe(
      '"snapshot": all tables are of one moment. "table": each table is of its own moment, so that no snapshot is held for longer than one table takes. "none": chunks of one table may also be of different moments.',
    ),
  onTableFailure: z
    .enum(['continue', 'fail-at-end', 'stop'])
    .default('continue')
    .describe(
      'When a table fails: "continue" with the others and report it in the result; "fail-at-end": the same, but then the run fails; "stop" all tables and fail.',
    ),
});

export type ExtractDatabaseInput = z.output<typeof extractDatabaseInput>;

/** The input as written. */
export type ExtractDatabaseRequest = z.input<typeof extractDatabaseInput>;

const extractDatabaseExample: ExtractDatabaseRequest = {
  tables: ['public.*', '!public.tmp_*', { table: 'sales.orders', incremental: { column: 'updated_at' } }],
  parallelism: 4,
};

/**
 * Checks an input: its parts, and then for each entry the settings that all of its tables get, including those from the
 * defaults and from other entries.
 *
 * @returns the input also as written, since settings are passed on to `extractTable`
 * @throws {InputError}
 */
export function parseDatabaseInput(written: unknown): {
  readonly input: ExtractDatabaseInput;
  readonly request: ExtractDatabaseRequest;
} {
  const input = parseInput(extractDatabaseInput, written, extractDatabaseExample);
  const request = parseInput(combinations, written, extractDatabaseExample);
  return { input, request };
}

/** One session holds the snapshot; another two hold and copy a table that must read a snapshot of its own. */
const leastConnections = { snapshot: 3, table: 2, none: 1 } as const;

const combinations = z.custom<ExtractDatabaseRequest>().check(({ value, issues }) => {
  const { defaults, tables, consistency = 'snapshot' } = value;
  const tell = (found: readonly z.core.$ZodIssue[], path: readonly PropertyKey[]) => {
    for (const issue of found) {
      issues.push({ code: 'custom', input: value, path: [...path, ...issue.path], message: issue.message });
    }
  };
  tell(issuesOf({ ...defaults, consistency: consistency === 'none' ? 'none' : 'snapshot' }), ['defaults']);
  const least = leastConnections[consistency];
  if ((value.maxSourceConnections ?? least) < least) {
    const message = `expected at least ${least} with "consistency": "${consistency}"`;
    issues.push({ code: 'custom', input: value, path: ['maxSourceConnections'], message });
  }
  const selection = new TableSelection(value);
  const known = new Map<string, readonly z.core.$ZodIssue[]>();
  for (const [index, one] of tables.entries()) {
    if (typeof one === 'string') continue;
    const found = known.get(one.table) ?? issuesOf(selection.requestForAll(one.table));
    known.set(one.table, found);
    tell(found, ['tables', index]);
  }
});

const issuesOf = (told: object): readonly z.core.$ZodIssue[] =>
  extractTableInput.safeParse({ ...told, table: 'any' }).error?.issues ?? [];

/**
 * Returns whether what a table reads depends on the state of its partitions in bronze, which may be newer than
 * an earlier snapshot: such a table is read as of its own moment.
 */
export const readsItsOwnMoment = ({ write, onlyChanged }: ExtractTableRequest): boolean =>
  write === 'replace-partitions' || onlyChanged === true;

/** Divides the sessions of a limited run; each table may take one for its own snapshot besides its copies. */
export const connectionsOf = ({
  maxSourceConnections: most,
  consistency,
}: Pick<ExtractDatabaseInput, 'maxSourceConnections' | 'consistency'>): ShareOfConnections =>
  shareConnections(most, consistency === 'snapshot', leastConnections.table);

/** The outcome of a table in a run of `extractDatabase`. */
export type TableOutcome = 'committed' | 'superseded' | 'failed' | 'skipped';

export interface TableResult {
  readonly table: string;
  readonly outcome: TableOutcome;
  readonly rows: number;
  readonly bytes: number;
  /** Why it failed. */
  readonly message?: string;
}

/** How many tables of a run had which outcome, and what was copied of them. */
export interface TableTotals {
  readonly committed: number;
  readonly superseded: number;
  readonly failed: number;
  readonly skipped: number;
  readonly rows: number;
  readonly bytes: number;
}

/** The result of the workflow `extractDatabase`. `bronze.extraction_runs` has every table, by `database_run_id`. */
export interface ExtractDatabaseResult extends TableTotals {
  readonly runId: string;
  /** `partial`: some tables failed or were skipped. */
  readonly outcome: 'complete' | 'partial';
  readonly tables: number;
  readonly duration: string;
  /** The moment that all tables are of; absent if each has its own. */
  readonly snapshotTakenAt?: string;
  readonly restarts: number;
  /** Failed tables first, then the largest; at most 100. */
  readonly results: readonly TableResult[];
  /** Tables new to bronze. */
  readonly newTables: BoundedNames;
  /** Tables that bronze has from an earlier run and the source no longer has. */
  readonly vanishedTables: BoundedNames;
  readonly warnings: readonly string[];
}

/** A count, and the first 100 of the names. */
export interface BoundedNames {
  readonly count: number;
  readonly names: readonly string[];
}
