import type { Observed } from '../contract/activities.ts';
import { formatTableName } from '../contract/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { BRONZE } from './layout.ts';

/** Past this, to add up the ledger of a plan every few seconds would cost more than it tells. */
const MOST_CHUNKS = 100_000;

/** How far a run is: a table that is extracted alone, or all that a run of a whole database has under way. */
export async function observeRun(session: Session, runId: string): Promise<Observed> {
  const tables = await session.query<{
    schema: string;
    name: string;
    rows: string;
    bytes: string;
    done: string;
    chunks: number;
  }>(
    `SELECT r.source_schema AS schema, r.source_table AS name, l.rows, l.bytes, l.done, r.chunks
       FROM ${BRONZE}.extraction_runs r
       CROSS JOIN LATERAL (SELECT coalesce(sum(c.rows), 0) AS rows, coalesce(sum(c.bytes), 0) AS bytes, count(*) AS done
                             FROM ${BRONZE}.extraction_chunks c WHERE c.plan_id = r.plan_id) AS l
      WHERE (r.run_id = $1 OR r.database_run_id = $1) AND r.status = 'running' AND r.chunks <= ${MOST_CHUNKS}`,
    [runId],
  );
  const finished = await session.one<{ tables: string; rows: string; bytes: string }>(
    `SELECT count(*) AS tables, coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes
       FROM ${BRONZE}.extraction_runs WHERE database_run_id = $1 AND status IN ('committed', 'superseded')`,
    [runId],
  );
  return {
    tables: tables.map(({ schema, name, rows, bytes, done, chunks }) => ({
      table: formatTableName({ schema, name }),
      rows: Number(rows),
      bytes: Number(bytes),
      chunksDone: Number(done),
      chunks,
    })),
    finished: {
      tables: Number(finished.tables),
      rows: Number(finished.rows),
      bytes: Number(finished.bytes),
    },
  };
}
