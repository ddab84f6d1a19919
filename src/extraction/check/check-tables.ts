import { fine, problem, warning, type Finding } from '../../contract/check-source.ts';
import { DatakitError, failurePolicies } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatBytes } from '../../contract/quantities.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { chooseColumns } from '../../postgres/catalog/choose-columns.ts';
import { readColumns } from '../../postgres/catalog/columns.ts';
import { readTree } from '../../postgres/catalog/partition-tree.ts';
import { findTable, type Table } from '../../postgres/catalog/table.ts';
import { listTables, type ListedTable } from '../../postgres/catalog/tables.ts';
import { readUnreadable } from '../../postgres/catalog/unreadable.ts';
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
    `SELECT (SELECT sum(pg_total_relation_size(oid)) FROM unnest($2::oid[]) AS oid) AS bytes, c.relreplident AS identity,
            c.relkind NOT IN ('r', 'p', 'm') OR c.reltuples >= 0 AS analyzed,
            EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS keyed
       FROM pg_catalog.pg_class c WHERE c.oid = $1`,
    [table.oid, [...(await readTree(session, table)).tables.keys()]],
  );
  const identified = keyed ? identity !== 'n' : identity === 'f' || identity === 'i';
  const captured =
    identified || table.kind !== 'table' ? '' : '; without a replica identity, which captures need';
  const found = `${table.kind}, ${formatBytes(Number(bytes))}, ${keyed ? 'with' : 'without'} a primary key${captured}`;
  const unreadable = await readUnreadable(session, [table.oid]);
  if (unreadable.length > 0) {
    return problem(
      check,
      `${found}; the role may not read its partitions ${listed(unreadable.map(formatTableName), 5)}`,
      'GRANT USAGE on their schemas and SELECT on them, too: partitions are read by their own names.',
    );
  }
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
  ];
  if (wanting.length === 0) return fine(check, found);
  return warning(
    check,
    `${found}; ${wanting.map(([what]) => what).join('; ')}`,
    wanting.map(([, advice]) => advice).join(' '),
  );
}

async function checkAll(session: Session): Promise<readonly Finding[]> {
  const tables = await listTables(session);
  return [await checkPrivileges(session, tables), ...checkNames(tables)];
}

function checkNames(tables: readonly ListedTable[]): Finding[] {
  const unsayable = tables.filter(({ isSayable }) => !isSayable);
  if (unsayable.length === 0) return [];
  const names = listed(unsayable.map(formatTableName), 5);
  return [
    warning(
      'names of tables',
      `bytes that are no characters in UTF-8, here written as \\nnn: ${names}`,
      'Rename these tables, or leave them out of "tables" with "!" and the beginning of the name.',
    ),
  ];
}

/** Counts the tables that `extractDatabase` would find, each with its partitions, and those that the role may read. */
async function checkPrivileges(session: Session, tables: readonly ListedTable[]): Promise<Finding> {
  const unreadable = await readUnreadable(
    session,
    tables.map(({ oid }) => oid),
  );
  const closed = new Set(unreadable.map(({ root }) => root));
  const readable = tables.filter(({ oid }) => !closed.has(oid));
  const bytes = readable.reduce((sum, table) => sum + table.bytes, 0);
  const found = `the role may read ${readable.length} of ${tables.length}, which have ${formatBytes(bytes)}`;
  if (readable.length === 0) {
    return problem('tables', found, 'GRANT USAGE on their schemas and SELECT on them to the role.');
  }
  if (closed.size === 0) return fine('tables', found);
  return warning(
    'tables',
    `${found}; not ${listed(unreadable.map(formatTableName), 5)}`,
    'GRANT USAGE on the schema and SELECT on those that are to be extracted, and on all of their partitions.',
  );
}
