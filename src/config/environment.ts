import { z } from 'zod';
import { DEFAULT_TASK_QUEUE } from '../contract/task-queues.ts';
import type { ConnectionSettings } from '../postgres/connection-settings.ts';
import { EXPECTED_URL } from './connection-url.ts';
import { activitiesFor, readDatabaseSettings } from './database-settings.ts';
import { readEncryptionKeys, type EncryptionKey } from './encryption-keys.ts';
import {
  invalidEnvironment,
  problemsOf,
  VariableError,
  wholeNumber,
  withoutEmpty,
  type Environment,
  type Variables,
} from './variables.ts';

/** Variables of the worker itself, besides Temporal's own profile. */
export const workerVariables = z.object({
  DATAKIT_TASK_QUEUE: z
    .string()
    .min(1)
    .default(DEFAULT_TASK_QUEUE)
    .describe('The task queue that the worker serves: start workflows on it.'),
  DATAKIT_MAX_CONCURRENT_ACTIVITIES: wholeNumber(1, 1000)
    .default(20)
    .describe('Activities that one worker runs at once, but never more than its pools have sessions for.'),
  DATAKIT_MAX_CONCURRENT_SNAPSHOTS: wholeNumber(1, 1000)
    .default(100)
    .describe(
      'Snapshot holders, each with a session of its own, and progress watchers that one worker runs at once. A run of a table has up to three.',
    ),
  DATAKIT_ENCRYPTION_KEYS: z
    .string()
    .optional()
    .describe(
      'Keys that encrypt payloads in Temporal: <key id>:<32 bytes in base64>, separated by commas. The first one encrypts, all decrypt.',
    ),
});

const SOURCE_URL = /^SOURCE_(?:([A-Z][A-Z0-9_]*)_)?DATABASE_URL(?:_FILE)?$/;

export interface Configuration {
  readonly warehouse: ConnectionSettings;
  /** By the name that inputs use; `default` is SOURCE_DATABASE_URL. */
  readonly sources: ReadonlyMap<string, ConnectionSettings>;
  readonly taskQueue: string;
  /** Activities that one worker runs at once; each finds a session in the warehouse pool. */
  readonly maxConcurrentActivities: number;
  readonly maxConcurrentSnapshots: number;
  /** The first encrypts payloads in Temporal, all decrypt; without keys nothing is encrypted. */
  readonly encryptionKeys: readonly EncryptionKey[];
}

/**
 * Reads the environment once, at startup.
 *
 * @throws {DatakitError} InvalidInput, naming every variable that is missing or wrong without revealing any value
 */
export function readEnvironment(environment: Environment): Configuration {
  const set = withoutEmpty(environment);
  const parsed = workerVariables.safeParse(set);
  const problems = parsed.success ? [] : problemsOf(parsed.error);
  const activities = parsed.data?.DATAKIT_MAX_CONCURRENT_ACTIVITIES ?? 1;
  const warehouse = readDatabaseSettings('WAREHOUSE', set, activities, problems);
  const sources = readSources(set, activities, problems);
  const encryptionKeys = readKeys(set, problems);
  if (!parsed.success || warehouse === undefined || problems.length > 0) {
    throw invalidEnvironment(problems);
  }
  return {
    warehouse,
    sources,
    taskQueue: parsed.data.DATAKIT_TASK_QUEUE,
    maxConcurrentActivities: activitiesFor(activities, warehouse, [...sources.values()]),
    maxConcurrentSnapshots: parsed.data.DATAKIT_MAX_CONCURRENT_SNAPSHOTS,
    encryptionKeys,
  };
}

/** Prefix of the variables of a source. */
const sourcePrefix = (name: string): string =>
  name === 'default' ? 'SOURCE' : `SOURCE_${name.toUpperCase()}`;

/** The variable that holds the URL of a source. */
export const sourceVariable = (name: string): string => `${sourcePrefix(name)}_DATABASE_URL`;

function readKeys(variables: Variables, problems: string[]): readonly EncryptionKey[] {
  try {
    return readEncryptionKeys(variables);
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    problems.push(error.message);
    return [];
  }
}

function readSources(
  variables: Variables,
  activities: number,
  problems: string[],
): Map<string, ConnectionSettings> {
  const names = sourceNames(variables);
  if (names.length === 0)
    problems.push(`SOURCE_DATABASE_URL: is not set, and no other source is; ${EXPECTED_URL}`);
  if (variables['SOURCE_DEFAULT_DATABASE_URL'] !== undefined) {
    problems.push('SOURCE_DEFAULT_DATABASE_URL: the variable of the source "default" is SOURCE_DATABASE_URL');
  }
  const sources = new Map<string, ConnectionSettings>();
  for (const name of names) {
    const settings = readDatabaseSettings(sourcePrefix(name), variables, activities, problems);
    if (settings !== undefined) sources.set(name, settings);
  }
  requireSourceOf(variables, names, problems);
  return sources;
}

function sourceNames(variables: Variables): string[] {
  const names = new Set<string>();
  for (const variable of Object.keys(variables)) {
    const match = SOURCE_URL.exec(variable);
    if (match !== null) names.add(match[1]?.toLowerCase() ?? 'default');
  }
  return [...names];
}

/** Reports variables of a source without a URL: a misspelt name would leave its source without that variable. */
function requireSourceOf(variables: Variables, names: readonly string[], problems: string[]): void {
  const known = names.map((name) => `${sourcePrefix(name)}_PG_`);
  for (const variable of Object.keys(variables)) {
    const name = /^SOURCE_([A-Z][A-Z0-9_]*?)_PG_/.exec(variable)?.[1]?.toLowerCase();
    const belongs = SOURCE_URL.test(variable) || known.some((prefix) => variable.startsWith(prefix));
    if (name !== undefined && !belongs) problems.push(`${variable}: there is no ${sourceVariable(name)}`);
  }
}
