import { fine, problem, warning, type Finding } from '../../contract/check-source.ts';
import { DatakitError, failurePolicies } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatBytes } from '../../contract/quantities.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { chooseColumns, readColumns } from '../../postgres/catalog/columns.ts';
import { findTable, type Table } from '../../postgres/catalog/table.ts';
import type { Session } from '../../postgres/session.ts';

/** Checks whether tables can be read: each named table, or all of them together. */
export async function checkTables(
  session: Session,
  names: readonly TableName[] | undefined,
): Promise<readonly Finding[]> {
  if (names === undefined) return checkAll(session);
  const findings: Finding[] = [];
  for (const name of names) findings.push(...(await checkTable(session, name)));
  return findings;
}

async function checkTable(session: Session, name: TableName): Promise<readonly Finding[]> {
  const check = `table ${formatTableName(name)}`;
  try {
    const table = await findTable(session, name);
    chooseColumns(await readColumns(session, table), table, {});
    return [await describe(session, table, check)];
  } catch (error) {
    // a server error aborts the transaction, and with it the check of all tables
    if (!(error instanceof DatakitError) || error.cause !== undefined) throw error;
    return [problem(check, error.message, failurePolicies[error.kind].advice)];
  }
}

interface Facts {
  readonly bytes: string;
  readonly analyzed: boolean;
  readonly identity: string;
  readonly keyed: boolean;
}

async function describe(session: Session, table: Table, check: string): Promise<Finding> {
  const { bytes, analyzed, identity, keyed } = await session.one<Facts & Record<string, unknown>>(
    `SELECT pg_total_relation_size(c.oid) AS bytes, c.relreplident AS identity,
            c.relkind NOT IN ('r', 'p', 'm') OR c.reltuples >= 0 AS analyzed,
            EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS keyed
       FROM pg_catalog.pg_class c WHERE c.oid = $1`,
    [table.oid],
  );
  const identified = keyed ? identity !== 'n' : identity === 'f' || identity === 'i';
  const found = `${table.kind}, ${formatBytes(Number(bytes))}, ${keyed ? 'with' : 'without'} a primary key`;
  const wanting = [
    ...(table.rowSecurityActive
      ? [
          [
            'row-level security may hide rows from the role',
            'Give it BYPASSRLS or a policy, or use "requireAllRows".',
          ],
        ]
      : []),
    ...(analyzed ? [] : [['it was never analyzed', 'Run ANALYZE on it, or use "analyze".']]),
    ...(identified || table.kind !== 'table'
      ? []
      : [
          [
            'changes to it cannot be captured, for lack of a replica identity',
            'Only changes (CDC) need it: give it a primary key, or ALTER TABLE … REPLICA IDENTITY FULL.',
          ],
        ]),
  ];
  if (wanting.length === 0) return fine(check, found);
  return warning(
    check,
    `${found}; ${wanting.map(([what]) => what).join('; ')}`,
    wanting.map(([, advice]) => advice).join(' '),
  );
}

async function checkAll(session: Session): Promise<readonly Finding[]> {
  const rows = await session.query<{ name: string; readable: boolean; bytes: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) AS bytes,
            has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      ORDER BY 1`,
  );
  const readable = rows.filter((row) => row.readable);
  const bytes = readable.reduce((sum, row) => sum + Number(row.bytes), 0);
  const found = `the role may read ${readable.length} of ${rows.length}, which have ${formatBytes(bytes)}`;
  const closed = rows.filter((row) => !row.readable).map(({ name }) => name);
  if (readable.length === 0) {
    return [problem('tables', found, 'GRANT USAGE on their schemas and SELECT on them to the role.')];
  }
  if (closed.length === 0) return [fine('tables', found)];
  return [
    warning(
      'tables',
      `${found}; not ${listed(closed, 5)}`,
      'GRANT USAGE on the schema and SELECT on those that are to be extracted.',
    ),
  ];
}
