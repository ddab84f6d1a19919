import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';

/** An input that does not fit its schema, described in the terms of the person who wrote it. */
export class InputError extends Error {
  override name = 'InputError';
}

/**
 * Checks an input against its schema.
 *
 * @param example a valid input, shown in the message of the error
 * @throws {InputError} naming every offending path, the nearest known key for an unknown one, and the example
 */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  example: z.input<Schema>,
): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => describeIssue(issue, schema, []));
  const more = problems.length > MOST_PROBLEMS ? [`and ${problems.length - MOST_PROBLEMS} more`] : [];
  const shown = [...problems.slice(0, MOST_PROBLEMS), ...more].join('; ');
  throw new InputError(`The input was refused. ${shown}. An input that works: ${JSON.stringify(example)}`);
}

/** Bounds the message: a failure is kept in the history, and an input may have megabytes of unknown keys. */
const MOST_PROBLEMS = 10;
const LONGEST_KEY = 100;

type Issue = z.core.$ZodIssue;

function describeIssue(issue: Issue, schema: z.ZodType, outer: readonly PropertyKey[]): string[] {
  const path = [...outer, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${show([...path, key])}: unknown key${suggestion(key, knownKeys(schema, path))}`,
    );
  }
  if (issue.code === 'invalid_union') {
    const [deepest] = issue.errors.toSorted((a, b) => depth(b) - depth(a));
    if (deepest !== undefined && depth(deepest) > 0) {
      return deepest.flatMap((inner) => describeIssue(inner, schema, path));
    }
  }
  return [`${show(path)}: ${lowerFirst(issue.message)}`];
}

/** Returns how far a branch of a union got before it failed: the furthest is taken for the one that was meant. */
function depth(issues: readonly Issue[]): number {
  return Math.max(
    ...issues.map((issue) => (issue.code === 'invalid_type' ? issue.path.length : issue.path.length + 1)),
  );
}

function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current: unknown = schema;
  for (const key of path) {
    current = current instanceof z.ZodArray ? current.element : objectShape(current)?.[String(key)];
  }
  return Object.keys(objectShape(current) ?? {});
}

/** Returns the keys of an object schema, found through optionals, defaults, unions and transforms. */
function objectShape(schema: unknown): Readonly<Record<string, unknown>> | undefined {
  if (schema instanceof z.ZodObject) return schema.shape;
  if (schema instanceof z.ZodPipe) return objectShape(schema.in);
  if (schema instanceof z.ZodUnion) {
    return schema.options.map(objectShape).find((shape) => shape !== undefined);
  }
  const isWrapped = [z.ZodOptional, z.ZodDefault, z.ZodPrefault].some((wrapper) => schema instanceof wrapper);
  return isWrapped && schema instanceof z.ZodType
    ? objectShape(Reflect.get(schema.def, 'innerType'))
    : undefined;
}

/** Returns ` (did you mean "columns"?)`, or an empty text if no known name is close. */
export function suggestion(unknown: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  // case is what people get wrong most often, since SQL folds it
  const byLowerCase = new Map(known.map((name) => [name.toLowerCase(), name]));
  const wanted = unknown.slice(0, LONGEST_KEY).toLowerCase();
  const nearest = closest(wanted, [...byLowerCase.keys()]);
  const near = distance(wanted, nearest) <= Math.max(2, Math.floor(wanted.length / 3));
  return near ? ` (did you mean "${byLowerCase.get(nearest)}"?)` : '';
}

function show(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'input' : path.map((key) => shorten(String(key))).join('.');
}

function shorten(text: string): string {
  return text.length > LONGEST_KEY ? `${text.slice(0, LONGEST_KEY)}…` : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
