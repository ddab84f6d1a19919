import { DatakitError } from '../../contract/failures.ts';
import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import { ownWords, sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * Has the server check a condition before anything is created: unknown columns and functions, types other than boolean.
 *
 * PREPARE only analyses. Unlike the planner it calls no functions, so that the server's messages may quote names and
 * literals of the condition but no value of a row.
 *
 * @throws {DatakitError} InvalidExpression
 */
export async function checkWhere(source: Session, table: TableName, where: string): Promise<void> {
  const statement = `SELECT FROM ${quoteTable(table)} AS ${quoteName(table.name)} WHERE (${where})`;
  try {
    await source.withRolePath(async () =>
      source.query(`PREPARE datakit_where AS ${statement}; DEALLOCATE datakit_where`),
    );
  } catch (error) {
    if (!(error instanceof Error) || !isAboutStatement(sqlStateOf(error))) throw error;
    throw new DatakitError('InvalidExpression', `"where" was refused by the source: ${ownWords(error)}`, {
      cause: error,
    });
  }
}

/** True for errors of syntax, names, types and literals, but not a lost connection or a missing privilege. */
function isAboutStatement(sqlState: string | undefined): boolean {
  return sqlState !== undefined && sqlState !== '42501' && /^(42|22|0A|54)/.test(sqlState);
}
