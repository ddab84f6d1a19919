import type { CopiedPartitions, Observed } from '../../contract/observed.ts';
import { formatTableName } from '../../contract/table-name.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';

/** Beyond this, summing the ledger of a plan every few seconds would cost more than it is worth. */
const MOST_CHUNKS = 100_000;
/** People look at few, and every observation stays in a workflow history. */
const MOST_PARTITIONS = 20;

/** Reports the progress of a run: of one table, or of all tables that a run of a whole database has under way. */
export async function observeRun(session: Session, runId: string): Promise<Observed> {
  const tables = await session.query<{
    planId: string;
    schema: string;
    name: string;
    rows: string;
    bytes: string;
    done: string;
    chunks: number;
  }>(
    `SELECT r.plan_id AS "planId", r.source_schema AS schema, r.source_table AS name, l.rows, l.bytes, l.done, r.chunks
       FROM ${BRONZE}.extraction_runs r
       CROSS JOIN LATERAL (SELECT coalesce(sum(c.rows), 0) AS rows, coalesce(sum(c.bytes), 0) AS bytes, count(*) AS done
                             FROM ${BRONZE}.extraction_chunks c WHERE c.plan_id = r.plan_id) AS l
      WHERE (r.run_id = $1 OR r.database_run_id = $1) AND r.status = 'running' AND r.chunks <= ${MOST_CHUNKS}`,
    [runId],
  );
  const finished = await session.one<{ rows: string; bytes: string }>(
    `SELECT coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes
       FROM ${BRONZE}.extraction_runs WHERE database_run_id = $1 AND status IN ('committed', 'superseded')`,
    [runId],
  );
  return {
    tables: tables.map(({ planId, schema, name, rows, bytes, done, chunks }) => ({
      planId,
      table: formatTableName({ schema, name }),
      rows: Number(rows),
      bytes: Number(bytes),
      chunksDone: Number(done),
      chunks,
    })),
    finished: {
      rows: Number(finished.rows),
      bytes: Number(finished.bytes),
    },
  };
}

/**
 * Reports the progress of a plan's partitions.
 *
 * @param chunks number of chunks of each, in order
 */
export async function observePartitions(
  session: Session,
  planId: string,
  chunks: readonly number[],
): Promise<CopiedPartitions> {
  const ends = chunks.map((_, at) => chunks.slice(0, at + 1).reduce((sum, one) => sum + one, 0));
  const rows = await session.query<{ partition: number; rows: string; bytes: string; done: number }>(
    `SELECT width_bucket(chunk, $2::int[]) AS partition, sum(rows) AS rows, sum(bytes) AS bytes, count(*)::int AS done
       FROM ${BRONZE}.extraction_chunks WHERE plan_id = $1 AND chunk < $3 GROUP BY 1 ORDER BY rows DESC, 1`,
    // chunks after the last partition carry keys
    [planId, ends, ends.at(-1) ?? 0],
  );
  const chunksDone = chunks.map(() => 0);
  for (const { partition, done } of rows) chunksDone[partition] = done;
  const isHalfDone = ({ partition, done }: (typeof rows)[number]) => done < (chunks[partition] ?? 0);
  const ordered = [...rows.filter(isHalfDone), ...rows.filter((row) => !isHalfDone(row))];
  return {
    chunksDone,
    foremost: ordered.slice(0, MOST_PARTITIONS).map((row) => ({
      partition: row.partition,
      rows: Number(row.rows),
      bytes: Number(row.bytes),
    })),
  };
}
