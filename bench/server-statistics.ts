import type { LocalStack } from '../local/stack.ts';
import { execute, query } from './execute.ts';
import type { Statement, WalWritten } from './result.ts';

/** Enables pg_stat_statements on both servers, and restarts them. */
export async function countStatements(stack: LocalStack): Promise<void> {
  for (const name of ['source', 'warehouse'] as const) {
    const url = stack[`${name}Url`];
    await execute(url, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
    await stack[name]?.stop('fast');
    await stack[name]?.start();
    await execute(url, 'CREATE EXTENSION pg_stat_statements');
  }
}

/** Resets the statement statistics. */
export const forgetStatements = async (url: string): Promise<void> =>
  execute(url, 'SELECT pg_stat_statements_reset()');

/** Returns the statements with the longest total time, and their number of calls. */
export async function longestStatements(url: string, most: number): Promise<Statement[]> {
  return query<{ text: string; calls: number; seconds: number }>(
    url,
    `SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 100) AS text, calls::int, total_exec_time / 1000 AS seconds
       FROM pg_stat_statements WHERE query !~ 'pg_stat_(statements|activity|wal)' ORDER BY total_exec_time DESC LIMIT ${most}`,
  );
}

/** Returns what the warehouse has written to its WAL since its statistics were reset. */
export async function walWritten({ warehouseUrl }: LocalStack): Promise<WalWritten> {
  const [row] = await query<Record<keyof WalWritten, string>>(
    warehouseUrl,
    'SELECT wal_bytes AS bytes, wal_fpi AS pages, wal_records AS records, wal_buffers_full AS full FROM pg_stat_wal',
  );
  return {
    bytes: Number(row?.bytes),
    pages: Number(row?.pages),
    records: Number(row?.records),
    full: Number(row?.full),
  };
}
