import { readdir, readFile } from 'node:fs/promises';
import type { Database } from '../postgres/database.ts';
import { quoteName } from '../postgres/identifiers.ts';
import { missingPrivilege } from '../postgres/missing-privilege.ts';
import type { Session } from '../postgres/session.ts';
import { advanceNumbers } from './bookkeeping/numbers.ts';
import { BRONZE, STAGING, STORAGE } from './layout.ts';
import { ensureParseJson } from './parse-json.ts';
import { LONGEST_QUEUE } from './readers.ts';

const folder = new URL('./migrations/', import.meta.url);

/** An arbitrary key that nothing else locks: `bronze` in ASCII. */
export const MIGRATION_LOCK = 0x62726f6e7a65;

/**
 * Migrates the bookkeeping in the warehouse to the version that this worker needs, and advances sequences that are behind.
 *
 * Migrations are numbered SQL files, each applied once, all in one transaction under a lock, so that workers that
 * start at once do not collide.
 */
export async function migrate(warehouse: Database): Promise<void> {
  await warehouse.write({}, async (session) => {
    await session.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    // a migration that waits for a reader keeps all writers waiting behind it
    await session.query(`SELECT set_config('lock_timeout', $1, true)`, [String(LONGEST_QUEUE)]);
    for (const schema of [BRONZE, STAGING, STORAGE]) await ensureSchema(session, schema);
    await session.query(
      `CREATE TABLE IF NOT EXISTS ${BRONZE}.datakit_migrations (
         name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const applied = await session.query<{ name: string }>(`SELECT name FROM ${BRONZE}.datakit_migrations`);
    for (const name of await pending(applied.map((row) => row.name))) {
      await session.query(await readFile(new URL(name, folder), 'utf8'));
      await session.query(`INSERT INTO ${BRONZE}.datakit_migrations (name) VALUES ($1)`, [name]);
    }
    await ensureParseJson(session);
    await advanceNumbers(session);
  });
}

async function pending(applied: readonly string[]): Promise<string[]> {
  const files = await readdir(folder);
  return files.filter((name) => name.endsWith('.sql') && !applied.includes(name)).toSorted();
}

/** Looks first: `CREATE SCHEMA IF NOT EXISTS` requires the CREATE privilege even if the schema exists. */
async function ensureSchema(session: Session, schema: string): Promise<void> {
  const { there, may, database, role } = await session.one<{
    there: boolean;
    may: boolean;
    database: string;
    role: string;
  }>(
    `SELECT to_regnamespace($1) IS NOT NULL AS there, has_database_privilege(current_database(), 'CREATE') AS may,
            current_database() AS database, current_user AS role`,
    [schema],
  );
  if (there) return;
  if (!may) {
    throw missingPrivilege(
      `warehouse: the role may not make the schema ${schema} (CREATE is missing)`,
      `GRANT CREATE ON DATABASE ${quoteName(database)} TO ${quoteName(role)}`,
    );
  }
  await session.query(`CREATE SCHEMA ${schema}`);
}
