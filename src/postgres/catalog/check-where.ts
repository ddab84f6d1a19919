import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../identifiers.ts';
import type { Session } from '../session.ts';

/**
 * Lets the server parse the condition, so that errors in it are known before anything is created.
 *
 * PREPARE only analyses. Unlike the planner it calls no functions, so that the server's messages
 * may quote names and literals of the condition but no value of a row.
 */
export async function checkWhere(session: Session, table: TableName, where: string): Promise<void> {
  const statement = `SELECT FROM ${quoteTable(table)} AS ${quoteName(table.name)} WHERE (${where})`;
  await session.withRolePath(async () =>
    session.query(`PREPARE datakit_where AS ${statement}; DEALLOCATE datakit_where`),
  );
}
