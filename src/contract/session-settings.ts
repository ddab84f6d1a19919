import { z } from 'zod';

const expectedMemory = 'expected an amount of memory such as "256MB"';
const memory = z
  .string({ error: expectedMemory })
  .regex(/^\s*\d+(\.\d+)?\s*(kB|MB|GB|TB)\s*$/, expectedMemory)
  .transform((text) => text.replaceAll(/\s/g, ''));

function number(least: number, most: number) {
  const expected = `expected a number from ${least} to ${most}`;
  return z.number({ error: expected }).min(least, expected).max(most, expected);
}

function whole(least: number, most: number) {
  const expected = `expected a whole number from ${least} to ${most}`;
  return z.int({ error: expected }).min(least, expected).max(most, expected);
}

const cost = number(0, 1_000_000);
const onOff = z.boolean({ error: 'expected true or false' });

/**
 * The PostgreSQL settings that a run may change for its own sessions on the source: those that decide how a
 * query is planned and how much memory it gets, and none that decides what a statement means, sees or may do.
 *
 * See https://www.postgresql.org/docs/current/runtime-config-query.html and -resource.html.
 */
export const sessionSettings = z
  .strictObject({
    work_mem: memory,
    hash_mem_multiplier: number(1, 1000),
    maintenance_work_mem: memory,
    effective_cache_size: memory,
    random_page_cost: cost,
    seq_page_cost: cost,
    cpu_tuple_cost: cost,
    cpu_index_tuple_cost: cost,
    cpu_operator_cost: cost,
    parallel_setup_cost: cost,
    parallel_tuple_cost: cost,
    min_parallel_table_scan_size: memory,
    min_parallel_index_scan_size: memory,
    max_parallel_workers_per_gather: whole(0, 1024),
    effective_io_concurrency: whole(0, 1000),
    from_collapse_limit: whole(1, 1000),
    join_collapse_limit: whole(1, 1000),
    jit: onOff,
    enable_bitmapscan: onOff,
    enable_hashagg: onOff,
    enable_hashjoin: onOff,
    enable_indexonlyscan: onOff,
    enable_indexscan: onOff,
    enable_mergejoin: onOff,
    enable_nestloop: onOff,
    enable_partitionwise_aggregate: onOff,
    enable_partitionwise_join: onOff,
    enable_seqscan: onOff,
    enable_sort: onOff,
  })
  .partial();

export type SessionSettings = z.output<typeof sessionSettings>;

/** Named sets of session settings. */
export const tuningProfiles = {
  guide: {
    work_mem: '256MB',
    maintenance_work_mem: '512MB',
    effective_cache_size: '4GB',
    random_page_cost: 1.1,
    effective_io_concurrency: 200,
    max_parallel_workers_per_gather: 4,
  },
} as const satisfies Record<string, SessionSettings>;

export type TuningProfile = keyof typeof tuningProfiles;

/** Returns the settings to apply, as text; `session` overrides the profile. Undefined if there are none. */
export function chosenSettings(
  profile: TuningProfile | undefined,
  session: SessionSettings | undefined,
): Readonly<Record<string, string>> | undefined {
  const chosen = { ...(profile !== undefined && tuningProfiles[profile]), ...session };
  const entries = Object.entries(chosen).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}
