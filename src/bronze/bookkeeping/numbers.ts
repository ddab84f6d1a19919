import type { Session } from '../../postgres/session.ts';
import { BRONZE, STAGING, STORAGE } from '../layout.ts';

/** SQL for the latest plan that a table is named after: tables may outlast the schema that has the records. */
const LATEST_NAMED = `(SELECT max(substring(relname FROM '_(\\d{1,18})(?:_keys|_lo)?$')::bigint) FROM pg_catalog.pg_class
                       WHERE relkind = 'r' AND relnamespace IN ('${STAGING}'::regnamespace, '${STORAGE}'::regnamespace))`;

/** Where the bookkeeping numbers something, and SQL for the latest number that is on record. */
const numbers = [
  {
    table: 'extraction_plans',
    column: 'plan_id',
    latest: `greatest((SELECT max(plan_id) FROM ${BRONZE}.extraction_plans),
                      (SELECT max(plan_id) FROM ${BRONZE}.extraction_chunks),
                      (SELECT max(plan_id) FROM ${BRONZE}.extraction_partitions),
                      (SELECT max(greatest(loaded_by_plan, loaded_order)) FROM ${BRONZE}.extraction_targets),
                      ${LATEST_NAMED})`,
  },
  {
    table: 'extraction_checkpoints',
    column: 'checkpoint_id',
    latest: `(SELECT max(checkpoint_id) FROM ${BRONZE}.extraction_checkpoints)`,
  },
  {
    table: 'cdc_positions',
    column: 'capture_id',
    latest: `(SELECT max(capture_id) FROM ${BRONZE}.cdc_positions)`,
  },
] as const;

/**
 * Moves sequences that are behind past the numbers on record. Logical replication, and copies made table by table, leave
 * sequences at their start: a new plan would get the number of an old one, and with it a ledger that says that its
 * chunks are copied. After the schema of the record was dropped, it would get tables that others have left.
 */
export async function advanceNumbers(session: Session): Promise<void> {
  const rows = numbers.map(
    ({ table, column, latest }) =>
      `(pg_get_serial_sequence('${BRONZE}.${table}', '${column}')::regclass, ${latest})`,
  );
  // leaves other sequences alone, or a number that somebody takes meanwhile could be given out twice
  await session.query(
    `SELECT setval(sequence, latest) FROM (VALUES ${rows.join(', ')}) AS numbered(sequence, latest)
      WHERE latest > coalesce(pg_sequence_last_value(sequence), 0)`,
  );
}
