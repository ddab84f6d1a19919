import { readFileSync } from 'node:fs';
import type { PostgresServer } from '../../local/postgres.ts';
import { administer } from './administer.ts';

const document = new URL('../../docs/connections.md', import.meta.url);

/** Only the setup uses the superuser: the code under test runs with the documented roles. */
export async function createRoles(source: PostgresServer, warehouse: PostgresServer): Promise<void> {
  await createExtractor(source);
  await createLoader(warehouse);
}

export async function createExtractor(server: PostgresServer): Promise<void> {
  // the last statement is for captures, as in docs/changes.md; reading tables does not need it
  await administer(server.url('postgres'), [
    ...documented('source', 'extractor-secret'),
    'ALTER ROLE extractor REPLICATION',
  ]);
}

export async function createLoader(server: PostgresServer): Promise<void> {
  const statements = documented('warehouse', 'loader-secret').filter((statement) => !isOfDatabase(statement));
  await administer(server.url('postgres'), statements);
}

/** Returns the statements that grant the loader access to a warehouse. */
export function grantsOnWarehouse(database: string): string[] {
  return documented('warehouse', '')
    .filter(isOfDatabase)
    .map((statement) => statement.replace('DATABASE warehouse', `DATABASE ${database}`));
}

const isOfDatabase = (statement: string): boolean => statement.includes('ON DATABASE');

/** Returns the documented statements for a role. */
function documented(side: 'source' | 'warehouse', password: string): string[] {
  const [, script] = readFileSync(document, 'utf8').split(`\`\`\`sql\n-- in the ${side}\n`);
  const statements = script
    ?.split('```')[0]
    ?.split(/;\n/)
    .filter((statement) => statement.trim() !== '');
  if (statements === undefined || statements.length === 0) throw new Error(`no script for the ${side}`);
  return statements.map((statement) => statement.replace('…', password));
}
