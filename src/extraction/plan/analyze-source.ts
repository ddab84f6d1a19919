import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { readTree } from '../../postgres/catalog/partition-tree.ts';
import { findTable, type Table } from '../../postgres/catalog/table.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import { missingPrivilege } from '../../postgres/missing-privilege.ts';
import type { Session } from '../../postgres/session.ts';

/** The first version with the MAINTAIN privilege; before that, only owners may analyze tables. */
const MAINTAIN_SINCE = 17;

/**
 * Brings the statistics of a table and its partitions up to date.
 *
 * Checks the privilege first, since PostgreSQL skips those that the role may not analyze with a mere warning.
 *
 * @throws {DatakitError} UnsupportedServer on a replica, InsufficientPrivilege, UnsupportedTable for a view
 */
export async function analyzeSource(session: Session, name: TableName): Promise<void> {
  const table = await findTable(session, name);
  const shown = formatTableName(name);
  if (table.kind === 'view') {
    throw new DatakitError(
      'UnsupportedTable',
      `"analyze": ${shown} is a view, which has no statistics of its own`,
    );
  }
  const { replica } = await session.one<{ replica: boolean }>('SELECT pg_is_in_recovery() AS replica');
  if (replica) {
    throw new DatakitError(
      'UnsupportedServer',
      '"analyze": the source is a replica, which has the statistics of its primary: run ANALYZE there, and leave it out here',
    );
  }
  await requireAnalyze(session, table);
  await session.query(`ANALYZE ${quoteTable(name)}`);
}

async function requireAnalyze(session: Session, table: Table): Promise<void> {
  const hasPrivilege = session.majorVersion >= MAINTAIN_SINCE;
  const privilege = hasPrivilege ? ` OR has_table_privilege(c.oid, 'MAINTAIN')` : '';
  // statistics of inheritance children are not brought up to date with those of their parent
  const analyzed = table.kind === 'partitioned table' ? await readTree(session, table) : undefined;
  const refused = await session.query<TableName & { owner: string } & Record<string, unknown>>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, pg_catalog.pg_database d
      WHERE c.oid = ANY ($1::oid[]) AND d.datname = current_database()
        AND NOT (pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')${privilege})
      ORDER BY n.nspname, c.relname`,
    [analyzed === undefined ? [table.oid] : [...analyzed.tables.keys()]],
  );
  if (refused.length === 0) return;
  const what = `"analyze": the role may not analyze ${listed(refused.map(formatTableName), 3)}`;
  const role = quoteName(table.role);
  const owners = [...new Set(refused.map(({ owner }) => quoteName(owner)))];
  throw hasPrivilege
    ? missingPrivilege(
        `${what} (MAINTAIN is missing)`,
        `GRANT MAINTAIN ON ${listed(refused.map(quoteTable), 10)} TO ${role}`,
      )
    : missingPrivilege(
        `${what}: before PostgreSQL 17 only its owner and members of that role may. Leave "analyze" out and have the owner run ANALYZE, or make the role a member`,
        `GRANT ${owners.join(', ')} TO ${role}`,
      );
}
