import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { utf8Length } from './table-name.ts';

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
  return parse(schema, input, example, [...longListsOf(input, []), ...excessOf(input)]);
}

/** Likewise, for a file with several inputs, each of which goes to Temporal by itself. */
export function parseFile<Schema extends z.ZodType>(
  schema: Schema,
  content: unknown,
  example: z.input<Schema>,
): z.output<Schema> {
  return parse(schema, content, example, longListsOf(content, []));
}

/** @param tooMuch why it is not worth a check against the schema */
function parse<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  example: z.input<Schema>,
  tooMuch: readonly Problem[],
): z.output<Schema> {
  const parsed = tooMuch.length === 0 ? schema.safeParse(input) : undefined;
  if (parsed?.success === true) return parsed.data;
  const problems =
    parsed?.error.issues.flatMap((issue) => describeIssue(issue, { schema, input, path: [] })) ?? tooMuch;
  const more = problems.length > MOST_PROBLEMS ? [`and ${problems.length - MOST_PROBLEMS} more`] : [];
  const shown = [...problems.slice(0, MOST_PROBLEMS).map((describe) => describe()), ...more].join('; ');
  throw new InputError(`The input was refused. ${shown}. An input that works: ${JSON.stringify(example)}`);
}

/** Of a list in an input: to check more could take longer than a workflow may compute at once. */
const MOST_ENTRIES = 20_000;

/** Keys on the way to a list, at most: `tables.0.incremental.key`. */
const DEEPEST_LIST = 4;

/** Described only if it is shown, since to describe thousands would take a workflow too long. */
type Problem = () => string;

function longListsOf(value: unknown, path: readonly PropertyKey[]): Problem[] {
  if (typeof value !== 'object' || value === null || path.length > DEEPEST_LIST) return [];
  if (Array.isArray(value) && value.length > MOST_ENTRIES) {
    return [() => `${showPath(path)}: expected at most ${MOST_ENTRIES} entries`];
  }
  return Object.entries(value).flatMap(([key, part]) => longListsOf(part, [...path, key]));
}

/**
 * Bytes of an input as JSON. A workflow passes its input on, with its defaults and what names the run, and Temporal takes
 * 2 MiB at once: a little more would keep the workflow trying for ever.
 */
const LARGEST_INPUT = 2_000_000;

function excessOf(input: unknown): Problem[] {
  if (utf8Length(JSON.stringify([input])) <= LARGEST_INPUT) return [];
  return [() => 'input: expected at most 2 MB of JSON, since Temporal takes little more'];
}

/** Bounds the message: a failure is kept in the history, and an input may have megabytes of unknown keys. */
const MOST_PROBLEMS = 10;
const LONGEST_KEY = 100;

type Issue = z.core.$ZodIssue;

interface Place {
  readonly schema: z.ZodType;
  readonly input: unknown;
  /** Of the part of the input that the issue is about. */
  readonly path: readonly PropertyKey[];
}

function describeIssue(issue: Issue, { schema, input, path: outer }: Place): Problem[] {
  const path = [...outer, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => () => `${showPath([...path, key])}: unknown key${hintFor(key, schema, path)}`,
    );
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.flatMap((inner) => describeIssue(inner, { schema, input, path }));
  }
  if (issue.code === 'invalid_union') {
    const [deepest] = issue.errors.toSorted((a, b) => depth(b) - depth(a));
    if (deepest !== undefined && depth(deepest) > 0) {
      return deepest.flatMap((inner) => describeIssue(inner, { schema, input, path }));
    }
  }
  const message = lowerFirst(issue.message);
  if (issue.code === 'custom' || valueAt(input, path) !== undefined) {
    return [
      () => `${showPath(path)}: ${message}${issue.code === 'invalid_type' ? exampleAt(schema, path) : ''}`,
    ];
  }
  return [
    () => `${showPath(path)}: is required${message.endsWith('received undefined') ? '' : `: ${message}`}`,
  ];
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  }
  return value;
}

/** Returns the form that is expected, where the schema has an example of it. */
function exampleAt(schema: z.ZodType, path: readonly PropertyKey[]): string {
  const example = exampleOf(schemaAt(schema, path));
  return example === undefined ? '' : `, as in "${String(path.at(-1))}": ${JSON.stringify(example)}`;
}

function exampleOf(schema: unknown): unknown {
  if (!(schema instanceof z.ZodType)) return undefined;
  const examples = schema.meta()?.['examples'];
  return Array.isArray(examples) ? examples[0] : exampleOf(innerOf(schema));
}

/** Returns how far a branch of a union got before it failed: the furthest is taken for the one that was meant. */
function depth(issues: readonly Issue[]): number {
  return Math.max(
    ...issues.map(
      ({ code, path }) => path.length + (code === 'invalid_type' || code === 'invalid_value' ? 0 : 1),
    ),
  );
}

/** Returns what may have been meant by an unknown key: one like it, or one of the same name elsewhere. */
function hintFor(key: string, schema: z.ZodType, path: readonly PropertyKey[]): string {
  const near = suggestion(key, Object.keys(shapeAt(schema, path)));
  if (near !== '') return near;
  const root = shapeAt(schema, []);
  const same = (known: string) => sameName(known) === sameName(key);
  const beside = Object.keys(root).find(same);
  if (beside !== undefined) return ` ("${beside}" is an input of its own, beside "${String(path[0])}")`;
  const places = Object.keys(root).flatMap((place) => {
    const isList = unwrapped(root[place]) instanceof z.ZodArray;
    const found = Object.keys(shapeAt(schema, isList ? [place, 0] : [place])).some(same);
    return found ? [isList ? `an object of "${place}"` : `"${place}"`] : [];
  });
  return places.length === 0 ? '' : ` (it belongs in ${places.join(' or ')})`;
}

const sameName = (key: string): string => key.slice(0, LONGEST_KEY).toLowerCase().replaceAll('_', '');

type Shape = Readonly<Record<string, unknown>>;

const shapeAt = (schema: z.ZodType, path: readonly PropertyKey[]): Shape =>
  objectShape(schemaAt(schema, path)) ?? {};

function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): unknown {
  let current: unknown = schema;
  for (const key of path) {
    const outer = unwrapped(current);
    if (outer instanceof z.ZodArray) current = outer.element;
    else if (outer instanceof z.ZodRecord) current = outer.valueType;
    else current = objectShape(outer)?.[String(key)];
  }
  return current;
}

/** Returns the keys of an object schema, found through optionals, defaults, unions and transforms. */
function objectShape(schema: unknown): Shape | undefined {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject) return inner.shape;
  if (!(inner instanceof z.ZodUnion)) return undefined;
  return inner.options.map(objectShape).find((shape) => shape !== undefined);
}

function unwrapped(schema: unknown): unknown {
  const inner = innerOf(schema);
  return inner === undefined ? schema : unwrapped(inner);
}

/** Returns what an optional, a default or a transform wraps. */
function innerOf(schema: unknown): unknown {
  if (schema instanceof z.ZodPipe) return schema.in;
  const isWrapped = [z.ZodOptional, z.ZodDefault, z.ZodPrefault].some((wrapper) => schema instanceof wrapper);
  return isWrapped && schema instanceof z.ZodType ? Reflect.get(schema.def, 'innerType') : undefined;
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

/** Returns the path of a part of an input as people read it: `tables.0.where`. */
export function showPath(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'input' : path.map((key) => shorten(String(key))).join('.');
}

function shorten(text: string): string {
  return text.length > LONGEST_KEY ? `${text.slice(0, LONGEST_KEY)}...` : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
