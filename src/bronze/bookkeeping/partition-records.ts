import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';
import { partitionLabel, type ExtractionPlan } from '../plan.ts';
import { lagsBehind } from './ledger.ts';

/** A partition whose rows bronze has. */
export interface PartitionRecord {
  /** The plan that read it. A bigint, as text. */
  readonly planId: string;
  /** Digest of what was read of each row; null if not all rows were read. */
  readonly reading: string | null;
  /** Evidence from the source, taken before the partition was read; null if none proves anything. */
  readonly evidence: string | null;
  /** When that evidence was taken, by the source's clock. */
  readonly seenAt: string;
}

/** Returns records by partition label; none if bronze has no rows, or rows of unknown partitions. */
export async function findPartitionRecords(
  session: Session,
  target: string,
): Promise<ReadonlyMap<string, PartitionRecord>> {
  const rows = await session.query<PartitionRecord & { partition: string } & Record<string, unknown>>(
    `SELECT partition, plan_id AS "planId", reading, evidence, seen_at::text AS "seenAt"
       FROM ${BRONZE}.extraction_partitions WHERE target = $1`,
    [target],
  );
  return new Map(rows.map((row) => [row.partition, row]));
}

/**
 * Records that a run has read partitions, unless a later one has already. Evidence of changes proves nothing of rows that
 * a server which lags behind has sent.
 */
export async function recordPartitions(
  session: Session,
  { planId, plan }: { readonly planId: string; readonly plan: ExtractionPlan },
): Promise<void> {
  if (plan.partitioned === undefined) return;
  const { partitions } = plan;
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_partitions (target, partition, plan_id, reading, evidence, seen_at)
     SELECT $1, p.partition, $2, p.reading,
            CASE WHEN NOT ${lagsBehind('$2', '$7::pg_lsn')} THEN p.evidence END, $6
       FROM unnest($3::text[], $4::text[], $5::text[]) AS p(partition, reading, evidence)
     ON CONFLICT (target, partition) DO UPDATE SET
       plan_id = excluded.plan_id, reading = excluded.reading, evidence = excluded.evidence, seen_at = excluded.seen_at
     WHERE extraction_partitions.plan_id < excluded.plan_id`,
    [
      plan.target,
      planId,
      partitions.map((partition) => partitionLabel(plan, partition)),
      partitions.map(({ filter }) => (filter === undefined ? plan.reading : null)),
      partitions.map(({ evidence }) => evidence ?? null),
      plan.seenAt,
      plan.provenFrom ?? null,
    ],
  );
}

/** Returns true if bronze has partitions of more than one moment, as after a run that replaced some of them. */
export async function isOfSeveralPlans(session: Session, target: string): Promise<boolean> {
  const found = await session.query(
    `SELECT FROM ${BRONZE}.extraction_partitions WHERE target = $1 HAVING count(DISTINCT plan_id) > 1`,
    [target],
  );
  return found.length > 0;
}

/** Forgets the partitions of tables whose rows are replaced, or come from more than one moment from now on. */
export async function forgetPartitions(session: Session, targets: readonly string[]): Promise<void> {
  await session.query(`DELETE FROM ${BRONZE}.extraction_partitions WHERE target = ANY ($1)`, [targets]);
}
