import { z } from 'zod';
import { DatakitError } from '../contract/failures.ts';

/** Variables as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that are set. */
export type Variables = Readonly<Record<string, string>>;

/** Drops empty variables: Compose files and CI set what they do not know to the empty string. */
export function withoutEmpty(environment: Environment): Variables {
  const set = Object.entries(environment).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(set);
}

/** Says what is wrong with a variable without revealing its value. */
export class VariableError extends Error {
  override name = 'VariableError';
}

/** Returns what a schema of variables found wrong, by their names. */
export const problemsOf = ({ issues }: z.ZodError, prefix = ''): string[] =>
  issues.map(({ path, message }) => `${prefix}${path.join('.')}: ${message}`);

export const invalidEnvironment = (problems: readonly string[]): DatakitError =>
  new DatakitError('InvalidInput', `The environment is incomplete or invalid. ${problems.join('; ')}.`);

export function wholeNumber(least: number, most: number) {
  const expected = { error: `expected a whole number from ${least} to ${most}` };
  return z.coerce.number(expected).int(expected).min(least, expected).max(most, expected);
}
