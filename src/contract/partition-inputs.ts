import { z } from 'zod';
import { instantOf, moment } from './moment.ts';

const some = (what: z.ZodString) =>
  z.array(what).min(1, 'expected at least one; leave it out to read all partitions').optional();

const name = z.string().min(1, 'expected a name').max(300, 'expected a name of at most 300 characters');
const pattern = z
  .string()
  .min(1, 'expected a pattern such as "orders_2024_*"')
  .max(300, 'expected a pattern of at most 300 characters');

const partitions = z
  .strictObject({
    from: moment.optional().describe('Read from this date or time on, by the bounds of the partitions.'),
    to: moment.optional().describe('Read what is before this date or time.'),
    exact: z
      .boolean()
      .optional()
      .describe(
        'true (the default): of a partition that the range cuts, only the rows in the range. false: all of it.',
      ),
    names: some(name).describe('Read these partitions, or those below these.'),
    patterns: some(pattern).describe('The same by patterns: * stands for any characters, ? for one.'),
  })
  .check(({ value, issues }) => {
    const refuse = (path: string, message: string) =>
      issues.push({ code: 'custom', input: value, path: [path], message });
    const { from, to, exact, names, patterns } = value;
    const ranged = from !== undefined || to !== undefined;
    const named = names !== undefined || patterns !== undefined;
    if (ranged && named) refuse('names', 'say either a range (from, to) or names and patterns');
    if (!ranged && !named) refuse('from', 'expected a range (from, to), names or patterns');
    if (exact !== undefined && !ranged) refuse('exact', 'has a meaning with "from" or "to" only');
    if (from !== undefined && to !== undefined && instantOf(from) >= instantOf(to)) {
      refuse('to', `must be later than "from": the range from ${from.text} to ${to.text} has nothing in it`);
    }
  });

/** The inputs of `extractTable` that are about partitions. */
export const partitionInputs = {
  partitions: partitions
    .optional()
    .describe(
      'Which partitions to read: {"from", "to"} by their bounds, {"names"} or {"patterns"}; all of them where left out.',
    ),
  onlyChanged: z
    .boolean()
    .optional()
    .describe(
      'With "replace-partitions": leave out partitions of which it is sure that nothing changed since they were read last.',
    ),
};

export type PartitionChoice = NonNullable<z.output<typeof partitionInputs.partitions>>;

interface Together extends Record<string, unknown> {
  readonly incremental?: unknown;
  readonly write?: string | undefined;
  readonly onlyChanged?: boolean | undefined;
}

/** What has a meaning together with `"write": "replace-partitions"` only, and what has none with it. */
export function checkPartitionInputs(input: Together, issues: z.core.$ZodRawIssue[]): void {
  const refuse = (path: string, message: string) =>
    issues.push({ code: 'custom', input, path: [path], message });
  const replaces = input.write === 'replace-partitions';
  if (replaces && input.incremental !== undefined)
    refuse('write', '"replace-partitions" has a meaning without "incremental" only');
  if (input.incremental !== undefined && input['partitions'] !== undefined)
    refuse('partitions', 'has no meaning with "incremental", whose checkpoint stands for all partitions');
  if (input.onlyChanged === true && !replaces)
    refuse('onlyChanged', 'has a meaning with "write": "replace-partitions" only');
  if (input.onlyChanged === true && input['where'] !== undefined)
    refuse('onlyChanged', 'cannot know whether other rows fit "where" now: leave out one of the two');
  if (replaces && input['largeObjects'] !== undefined)
    refuse('largeObjects', 'cannot be extracted with "replace-partitions" yet');
}

/** Partitions of the table that a run did not read. */
export interface SkippedPartitions {
  /** By what the input says of names and bounds. */
  readonly notAskedFor: number;
  /** Because they are as they were when they were read last. */
  readonly unchanged: number;
}
