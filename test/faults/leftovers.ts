import { waitUntil } from '../setup/wait-until.ts';
import type { FaultStack } from './fault-stack.ts';

/** Time for endings in progress: the session of a killed worker ends when the server notices. */
const WITHIN = 20_000;

/** Lists sessions, staging tables, plans, locks, slots, publications and snapshots that are no longer needed. */
export async function leftoversOf(stack: FaultStack): Promise<string[]> {
  let left: string[] = [];
  await waitUntil(async () => (left = await leftovers(stack)).length === 0, WITHIN).catch(() => undefined);
  return left;
}

async function leftovers({ lab }: FaultStack): Promise<string[]> {
  const [base, locks, source] = await Promise.all([
    lab.leftovers(),
    Promise.all(
      [lab.source, lab.warehouse].map(async (client) =>
        client.query<{ name: string }>(
          `SELECT format('lock on %s of %s', relation::regclass, usename) AS name
             FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE usename IN ('extractor', 'loader') AND locktype IN ('relation', 'advisory')`,
        ),
      ),
    ),
    lab.source.query<{ name: string }>(
      `SELECT 'slot ' || slot_name AS name FROM pg_replication_slots
       UNION ALL SELECT 'publication ' || pubname FROM pg_publication
       UNION ALL SELECT 'snapshot ' || file FROM pg_ls_dir('pg_snapshots') AS file`,
    ),
  ]);
  return [...base, ...[...locks, source].flatMap(({ rows }) => rows.map(({ name }) => name))];
}
