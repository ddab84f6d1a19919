import { z } from 'zod';
import { instantOf, moment } from './moment.ts';
import { together, type Refuse } from './refuse.ts';

const some = (what: z.ZodString) =>
  z.array(what).min(1, 'expected at least one; leave it out to read all partitions').optional();

const name = z.string().min(1, 'expected a name').max(300, 'expected a name of at most 300 characters');
const pattern = z
  .string()
  .min(1, 'expected a pattern such as "orders_2024_*"')
  .max(300, 'expected a pattern of at most 300 characters');

const partitions = z
  .strictObject({
    from: moment
      .optional()
      .describe(
        'Read from this date or time on, compared with the bounds of the partitions. If their key is a timestamptz, it may be relative to the time of a schedule: "scheduled - 1 day".',
      ),
    to: moment.optional().describe('Read up to this date or time, which is not included.'),
    exact: z
      .boolean()
      .optional()
      .describe(
        'How to read partitions that are only partly in the range. true (default): only the rows in the range. false: all rows.',
      ),
    names: some(name).describe('Read these partitions, or all partitions below them.'),
    patterns: some(pattern).describe('The same by patterns: * stands for any characters, ? for one.'),
  })
  .check(
    together(({ from, to, exact, names, patterns }, refuse) => {
      const ranged = from !== undefined || to !== undefined;
      const named = names !== undefined || patterns !== undefined;
      if (ranged && named) refuse('names', 'say either a range (from, to) or names and patterns');
      if (!ranged && !named) refuse('from', 'expected a range (from, to), names or patterns');
      if (exact !== undefined && !ranged) refuse('exact', 'only allowed with "from" or "to"');
      if (from !== undefined && to !== undefined && instantOf(from) >= instantOf(to)) {
        refuse('to', `must be later than "from": the range from ${from.text} to ${to.text} is empty`);
      }
    }),
  );

/** The inputs of `extractTable` that concern partitions. */
export const partitionInputs = {
  partitions: partitions
    .optional()
    .describe(
      'Which partitions to read: {"from", "to"} by their bounds, {"names"} or {"patterns"}. Default: all partitions.',
    )
    .meta({ examples: [{ names: ['orders_2024_01'] }] }),
  onlyChanged: z
    .boolean()
    .optional()
    .describe(
      'With "replace-partitions": skip partitions that have certainly not changed since they were last read.',
    ),
};

export type PartitionChoice = NonNullable<z.output<typeof partitionInputs.partitions>>;

interface Dependent extends Record<string, unknown> {
  readonly incremental?: unknown;
  readonly write?: string | undefined;
  readonly onlyChanged?: boolean | undefined;
}

/** Refuses partition inputs in combinations that have no meaning or are not supported yet. */
export function checkPartitionInputs(input: Dependent, refuse: Refuse): void {
  const replaces = input.write === 'replace-partitions';
  if (replaces && input.incremental !== undefined)
    refuse('write', '"replace-partitions" is not allowed with "incremental"');
  if (input.incremental !== undefined && input['partitions'] !== undefined)
    refuse('partitions', 'not allowed with "incremental", whose checkpoint covers all partitions');
  if (input.onlyChanged === true && !replaces)
    refuse('onlyChanged', 'only allowed with "write": "replace-partitions"');
  if (input.onlyChanged === true && input['where'] !== undefined)
    refuse('onlyChanged', 'not allowed with "where": unchanged rows may match it today that did not before');
  if (replaces && input['largeObjects'] !== undefined)
    refuse('largeObjects', 'not supported with "replace-partitions" yet');
}

/** Partitions of the table that a run did not read. */
export interface SkippedPartitions {
  /** Left out by the names or bounds in the input. */
  readonly notAskedFor: number;
  /** Unchanged since they were last read. */
  readonly unchanged: number;
}
