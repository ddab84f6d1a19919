import { BRONZE, STAGING, STORAGE } from '../../bronze/layout.ts';
import { fine, problem, warning, type Finding } from '../../contract/check-source.ts';
import { formatBytes } from '../../contract/quantities.ts';
import type { Session } from '../../postgres/session.ts';
import { checkSessionsOfOthers } from './hidden-sessions.ts';

/** Checks of a warehouse and of what its role may do. */
export const warehouseChecks = {
  'rights in the warehouse': checkRights,
  'readers of the warehouse': checkReaders,
  'encoding of the warehouse': checkEncoding,
  'room in the warehouse': checkRoom,
} as const;

async function checkRights(session: Session): Promise<Finding> {
  const check = 'rights in the warehouse';
  const { writable, creates, missing, closed } = await session.one<{
    writable: boolean;
    creates: boolean;
    missing: string | null;
    closed: string | null;
  }>(
    `SELECT NOT pg_is_in_recovery() AND reset_val = 'off' AS writable,
            has_database_privilege(current_database(), 'CREATE') AS creates,
            (SELECT string_agg(name, ', ') FROM unnest($1::text[]) AS name WHERE to_regnamespace(name) IS NULL) AS missing,
            (SELECT string_agg(nspname, ', ') FROM pg_catalog.pg_namespace
              WHERE nspname = ANY ($1) AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'))) AS closed
       FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'`,
    [[BRONZE, STAGING, STORAGE]],
  );
  if (!writable) {
    return problem(
      check,
      'the server takes no writes',
      'Point WAREHOUSE_DATABASE_URL at the primary, with default_transaction_read_only off.',
    );
  }
  if (closed !== null) {
    return problem(
      check,
      `the role may not create tables in ${closed}`,
      'Make it the owner of these schemas.',
    );
  }
  if (missing !== null && !creates) {
    return problem(
      check,
      `the role may not make the schemas ${missing}`,
      'GRANT CREATE ON DATABASE to it, or make them beforehand with AUTHORIZATION for it.',
    );
  }
  return fine(check, missing === null ? 'its schemas are there' : `the role may make ${missing}`);
}

async function checkReaders(session: Session): Promise<Finding> {
  return checkSessionsOfOthers(session, 'readers of the warehouse', {
    seen: 'the role sees who stands in the way of a commit',
    privilege: {
      found: 'the role does not see what other sessions do',
      advice:
        'GRANT pg_read_all_stats to it: a commit then waits for sessions with an older snapshot, and names them.',
    },
    tracking: {
      found: 'since when',
      means: 'a commit waits for any of them that holds a snapshot, however new it is.',
    },
  });
}

async function checkEncoding(session: Session): Promise<Finding> {
  const check = 'encoding of the warehouse';
  const { encoding } = await session.one<{ encoding: string }>(
    `SELECT current_setting('server_encoding') AS encoding`,
  );
  if (encoding === 'UTF8') return fine(check, encoding);
  return warning(
    check,
    `${encoding}: characters that it lacks fail a run, and SQL_ASCII counts bytes where varchar(10) counts characters`,
    'Use a database with the encoding UTF8, which has all characters.',
  );
}

/** A server cannot be asked for its free space; its present size suggests what a run would add. */
async function checkRoom(session: Session): Promise<Finding> {
  const { size } = await session.one<{ size: string }>('SELECT pg_database_size(current_database()) AS size');
  return fine(
    'room in the warehouse',
    `the database has ${formatBytes(Number(size))}; while a table is replaced, it is there twice`,
  );
}
