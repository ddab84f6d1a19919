import { z } from 'zod';
import { DatakitError } from '../contract/failures.ts';
import { DEFAULT_TASK_QUEUE } from '../contract/task-queues.ts';

const expectedUrl = 'expected a URL such as postgresql://user:password@host:5432/database';

const postgresUrl = z
  .string({ error: expectedUrl })
  .refine((url) => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url), expectedUrl);

function wholeNumber(least: number, most: number) {
  const expected = { error: `expected a whole number from ${least} to ${most}` };
  return z.coerce.number(expected).int(expected).min(least, expected).max(most, expected);
}

/** Every variable that the worker reads, besides those of Temporal's own profile. */
const environment = z.object({
  WAREHOUSE_DATABASE_URL: postgresUrl,
  DATAKIT_TASK_QUEUE: z.string().min(1).default(DEFAULT_TASK_QUEUE),
  DATAKIT_MAX_CONCURRENT_ACTIVITIES: wholeNumber(1, 1000).default(20),
});

const SOURCE_URL = /^SOURCE_(?:([A-Z][A-Z0-9_]*)_)?DATABASE_URL$/;

export interface Configuration {
  readonly warehouseUrl: string;
  /** By the name that inputs use; `default` is SOURCE_DATABASE_URL. */
  readonly sourceUrls: ReadonlyMap<string, string>;
  readonly taskQueue: string;
  /** The activities that one worker runs at once, and so the most sessions that it opens to one database. */
  readonly maxConcurrentActivities: number;
}

/**
 * Reads the environment, once, at the start.
 *
 * @throws {DatakitError} InvalidInput, naming every variable that is missing or wrong, and none of their values
 */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Configuration {
  const set = withoutEmpty(variables);
  const parsed = environment.safeParse(set);
  const sourceUrls = readSourceUrls(set);
  const problems = parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  if (sourceUrls.size === 0) problems.push('SOURCE_DATABASE_URL: expected at least one source');
  if ('SOURCE_DEFAULT_DATABASE_URL' in set) {
    problems.push('SOURCE_DEFAULT_DATABASE_URL: the variable of the source "default" is SOURCE_DATABASE_URL');
  }
  for (const [name, url] of sourceUrls) {
    if (!postgresUrl.safeParse(url).success) problems.push(`${sourceVariable(name)}: ${expectedUrl}`);
  }
  if (!parsed.success || problems.length > 0) {
    throw new DatakitError('InvalidInput', `The environment is not complete. ${problems.join('; ')}.`);
  }
  return {
    warehouseUrl: parsed.data.WAREHOUSE_DATABASE_URL,
    sourceUrls,
    taskQueue: parsed.data.DATAKIT_TASK_QUEUE,
    maxConcurrentActivities: parsed.data.DATAKIT_MAX_CONCURRENT_ACTIVITIES,
  };
}

/** The variable that holds the URL of a source. */
export const sourceVariable = (name: string): string =>
  name === 'default' ? 'SOURCE_DATABASE_URL' : `SOURCE_${name.toUpperCase()}_DATABASE_URL`;

/** Compose files and CI set what they do not know to the empty string. */
function withoutEmpty(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const set = Object.entries(variables).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(set);
}

function readSourceUrls(variables: Readonly<Record<string, string>>): Map<string, string> {
  const urls = new Map<string, string>();
  for (const [variable, url] of Object.entries(variables)) {
    const match = SOURCE_URL.exec(variable);
    if (match !== null) urls.set(match[1]?.toLowerCase() ?? 'default', url);
  }
  return urls;
}
