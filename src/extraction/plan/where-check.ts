import { DatakitError } from '../../contract/failures.ts';
import { checkWhere } from '../../postgres/catalog/check-where.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import { ownWords, sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * Has the server check a condition: unknown columns and functions, types other than boolean.
 *
 * @throws {DatakitError} InvalidExpression
 */
export async function requireWhere(source: Session, table: Table, where: string): Promise<void> {
  try {
    await checkWhere(source, table, where);
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
