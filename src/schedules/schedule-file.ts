import { isDeepStrictEqual } from 'node:util';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { parseDatabaseInput } from '../contract/extract-database.ts';
import { extractTableExample, extractTableInput } from '../contract/extract-table.ts';
import { maintainBronzeExample, maintainBronzeInput } from '../contract/maintain-bronze.ts';
import { InputError, parseFile, parseInput } from '../contract/parse-input.ts';
import { duration } from '../contract/quantities.ts';
import { together } from '../contract/refuse.ts';
import { atScheduledTime, databaseAtScheduledTime } from '../contract/scheduled-time.ts';
import { DEFAULT_TASK_QUEUE } from '../contract/task-queues.ts';
import { calendarSpec, requireCron } from './calendar.ts';

/** The server makes a shorter one this long. */
const LEAST_CATCHUP_MS = 10_000;

const calendarPart = z.union([z.string(), z.number()], {
  error: 'expected a number, or a text such as "1-5", "1,15" or "*/10"',
});

const expectedCron = 'expected a cron expression such as "0 3 * * mon-fri", or a list of them';

/** Without the line break that a text on lines of its own ends with in YAML, and the server does not keep. */
const cronText = z.string().trim();

const wholeSeconds = duration.refine(
  (milliseconds) => milliseconds % 1000 === 0,
  'expected whole seconds, such as "10 minutes"',
);

/** Three ways to say when, of which a schedule uses one, and what goes with them. */
const when = {
  cron: z.union([cronText, z.array(cronText).min(1, expectedCron)], { error: expectedCron }).optional(),
  every: wholeSeconds.optional(),
  /** For `every`: how long after the full interval. */
  offset: wholeSeconds.optional(),
  calendar: z
    .array(
      z.strictObject({
        second: calendarPart.optional(),
        minute: calendarPart.optional(),
        hour: calendarPart.optional(),
        dayOfMonth: calendarPart.optional(),
        month: calendarPart.optional(),
        year: calendarPart.optional(),
        dayOfWeek: calendarPart.optional(),
      }),
    )
    .min(1, 'expected at least one calendar, such as [{ dayOfWeek: mon-fri, hour: 5 }]')
    .optional()
    .meta({ examples: [[{ dayOfWeek: 'mon-fri', hour: 5 }]] }),
};

const workflow = z.enum(['extractTable', 'extractDatabase', 'maintainBronze']);
type Workflow = z.output<typeof workflow>;

/** By workflow: returns the input of a run with a given scheduled time. */
const inputAt: Readonly<Record<Workflow, (input: unknown, scheduled: Date) => unknown>> = {
  extractTable: atScheduledTime,
  extractDatabase: databaseAtScheduledTime,
  maintainBronze: (input) => input,
};

/** Returns true if each run reads a window of its own, relative to its scheduled time. */
const readsWindows = (one: { readonly workflow: Workflow; readonly input: unknown }): boolean =>
  !isDeepStrictEqual(inputAt[one.workflow](one.input, new Date(0)), one.input);

const overlap = z.enum(['skip', 'bufferOne', 'bufferAll', 'cancelOther', 'terminateOther', 'allowAll']);

/** Policies that start every run and end none early, so that no window is left out. */
const keepsEveryRun: ReadonlySet<z.output<typeof overlap>> = new Set(['bufferAll', 'allowAll'] as const);

const schedule = z
  .strictObject({
    workflow,
    input: z.record(z.string(), z.unknown()),
    ...when,
    timeZone: z
      .string()
      .default('UTC')
      .transform((name, context) => {
        const found = asTimeZone(name);
        if (found !== undefined) return found;
        context.addIssue('expected a time zone such as "Europe/Berlin" or "UTC"');
        return z.NEVER;
      }),
    jitter: duration.optional(),
    overlap: overlap.optional(),
    catchupWindow: duration
      .refine((window) => window >= LEAST_CATCHUP_MS, 'expected at least "10 seconds"')
      .prefault('1 hour'),
    pauseOnFailure: z.boolean().default(true),
    paused: z.boolean().default(false),
    note: z.string().optional(),
    taskQueue: z.string().min(1, 'expected a name').default(DEFAULT_TASK_QUEUE),
  })
  .refine(
    ({ cron, every, calendar }) => [cron, every, calendar].filter((one) => one !== undefined).length === 1,
    'expected one of "cron", "every" and "calendar"',
  )
  .refine(({ every = 0, offset }) => offset === undefined || offset < every, {
    path: ['offset'],
    message: 'only allowed with "every", and expected to be less',
  })
  .check(
    together((written, refuse) => {
      if (written.overlap === undefined || keepsEveryRun.has(written.overlap) || !readsWindows(written))
        return;
      refuse(
        'overlap',
        `expected "bufferAll" (the default here) or "allowAll": each run reads a window relative to "scheduled", and one that "${written.overlap}" drops is never read`,
      );
    }),
  )
  .transform((written) => ({
    ...written,
    overlap: written.overlap ?? (readsWindows(written) ? 'bufferAll' : 'skip'),
  }));

const file = z.strictObject({
  schedules: z.record(
    z.string().regex(/^[\w./-]{1,200}$/, 'expected an id such as "nightly-orders"'),
    schedule,
  ),
});

export type Schedule = z.output<typeof schedule>;

const example: z.input<typeof file> = {
  schedules: {
    'nightly-orders': { workflow: 'extractTable', input: { table: 'orders' }, cron: '0 3 * * *' },
  },
};

const checkInput: Readonly<Record<Workflow, (input: unknown) => void>> = {
  extractTable: (input) => void parseInput(extractTableInput, input, extractTableExample),
  extractDatabase: (input) => void parseDatabaseInput(input),
  maintainBronze: (input) => void parseInput(maintainBronzeInput, input, maintainBronzeExample),
};

/**
 * Reads a file of schedules, and checks the inputs of the workflows in it.
 *
 * @throws {InputError} naming the path of what is wrong
 */
export function readScheduleFile(text: string): ReadonlyMap<string, Schedule> {
  const { schedules } = parseFile(file, readYaml(text), example);
  for (const [id, { workflow: type, input, cron, calendar = [] }] of Object.entries(schedules)) {
    try {
      for (const expression of [cron].flat()) if (expression !== undefined) requireCron(expression);
      for (const one of calendar) calendarSpec(one);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(`schedules.${id}: ${error.message}`);
    }
    try {
      checkInput[type](inputAt[type](input, new Date()));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(`schedules.${id}.input: ${error.message}`);
    }
  }
  return new Map(Object.entries(schedules));
}

/** Takes warnings for errors: `!public.tmp_*` without quotes is an empty text with a tag that nobody knows. */
function readYaml(text: string): unknown {
  try {
    const document = parseDocument(text);
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    return document.toJS();
  } catch (error) {
    throw new InputError(
      `The file is not valid YAML, where a text that begins with "!" or "*" needs quotes: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Returns a time zone as the server writes it, which tells cases apart; undefined if there is none of this name. */
function asTimeZone(name: string): string | undefined {
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    if (timeZone.toLowerCase() === name.toLowerCase()) return timeZone;
    // an alias, which is not resolved, because the server returns it as it was written
    return /^[A-Z]/.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}
