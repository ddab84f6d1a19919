import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { findTable, type Table } from '../../postgres/catalog/table.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
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
  if (!(await mayAnalyze(session, table))) {
    throw new DatakitError(
      'InsufficientPrivilege',
      session.majorVersion >= MAINTAIN_SINCE
        ? `"analyze": the role may not analyze ${shown} (MAINTAIN is missing)`
        : `"analyze": the role may not analyze ${shown}, since before PostgreSQL 17 only its owner and that of the database may`,
    );
  }
  await session.query(`ANALYZE ${quoteTable(name)}`);
}

async function mayAnalyze(session: Session, { oid }: Table): Promise<boolean> {
  const privilege =
    session.majorVersion >= MAINTAIN_SINCE ? ` OR has_table_privilege(c.oid, 'MAINTAIN')` : '';
  const { allowed } = await session.one<{ allowed: boolean }>(
    `SELECT pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')${privilege} AS allowed
       FROM pg_catalog.pg_class c, pg_catalog.pg_database d
      WHERE c.oid = $1 AND d.datname = current_database()`,
    [oid],
  );
  return allowed;
}
