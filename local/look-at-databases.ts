import { readEnvironment } from '../src/config/environment.ts';
import type { Finding } from '../src/contract/check-source.ts';
import { formatWithin } from '../src/contract/table-name.ts';
import { checkConnection } from '../src/extraction/check/check-source.ts';
import type { Database } from '../src/postgres/database.ts';
import { connectDatabases } from '../src/runtime/connect-databases.ts';

/** What a newcomer wants to know of the databases before the first run. */
export interface LookedAt {
  /** A table of the source that can be extracted: `orders`, `sales.items`. */
  readonly table: string | undefined;
  readonly problems: readonly Finding[];
}

/** Connects to the default source and to the warehouse, as a worker with these variables does. */
export async function lookAtDatabases(
  variables: Readonly<Record<string, string | undefined>>,
): Promise<LookedAt> {
  const databases = connectDatabases(readEnvironment(variables));
  const source = databases.sourceNamed('default');
  try {
    const findings = await Promise.all([checkConnection(source), checkConnection(databases.warehouse)]);
    const problems = findings.filter(({ state }) => state !== 'ok');
    const table = findings[0].state === 'ok' ? await findTable(source) : undefined;
    return { table, problems };
  } finally {
    await databases.close();
  }
}

/** Returns a table that the role may read, rather one of at most 1 GB that has rows; statistics tell. */
async function findTable(source: Database): Promise<string | undefined> {
  const [table] = await source.read({ statementTimeout: 5_000 }, async (session) =>
    session.query<{ schema: string; name: string }>(
      `SELECT n.nspname AS schema, c.relname AS name
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
        ORDER BY c.relpages BETWEEN 1 AND 131072 DESC, n.nspname = 'public' DESC, c.relname LIMIT 1`,
    ),
  );
  return table === undefined ? undefined : formatWithin('public', table);
}
