import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { findTable, type Table } from '../../postgres/catalog/table.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import { missingPrivilege } from '../../postgres/missing-privilege.ts';
import type { Session } from '../../postgres/session.ts';

/** The first version with the MAINTAIN privilege; before that, only owners may analyze tables. */
const MAINTAIN_SINCE = 17;

/**
 * Brings the statistics of a table up to date.
 *
 * Checks the privilege first, since PostgreSQL skips tables that the role may not analyze with a mere warning.
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
  const { allowed, owner } = await session.one<{ allowed: boolean; owner: string }>(
    `SELECT pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')${privilege} AS allowed,
            pg_get_userbyid(c.relowner) AS owner
       FROM pg_catalog.pg_class c, pg_catalog.pg_database d
      WHERE c.oid = $1 AND d.datname = current_database()`,
    [table.oid],
  );
  if (allowed) return;
  const what = `"analyze": the role may not analyze ${formatTableName(table)}`;
  const role = quoteName(table.role);
  throw hasPrivilege
    ? missingPrivilege(`${what} (MAINTAIN is missing)`, `GRANT MAINTAIN ON ${quoteTable(table)} TO ${role}`)
    : missingPrivilege(
        `${what}: before PostgreSQL 17 only its owner and members of that role may. Leave "analyze" out and have the owner run ANALYZE, or make the role a member`,
        `GRANT ${quoteName(owner)} TO ${role}`,
      );
}
