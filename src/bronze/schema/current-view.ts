import { DatakitError } from '../../contract/failures.ts';
import { isTooLong } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE, DELETED_AT, LOADED_AT } from '../layout.ts';
import { orSchemaConflict } from './schema-conflict.ts';

/** Beginning of the comment that marks a view as ours and says what it shows. */
const COMMENT = 'datakit-postgres: the newest version of each row of ';

const currentViewName = (target: string): string => `${target}_current`;

const viewOf = (target: string) => ({ schema: BRONZE, name: currentViewName(target) });

/** @throws {DatakitError} InvalidInput if the name would be truncated */
export function requireViewName(target: string): void {
  const name = currentViewName(target);
  if (!isTooLong(name)) return;
  throw new DatakitError(
    'InvalidInput',
    `"currentView" cannot be made: the name ${name} is too long; choose a shorter "target"`,
  );
}

export interface CurrentView {
  readonly target: string;
  readonly key: readonly string[];
  readonly cursor: string;
  /** True if deleted rows are marked, and so left out. */
  readonly marksDeleted: boolean;
}

/**
 * Creates the view, or adds columns that came since: those come last in both, as PostgreSQL requires. A view that
 * shows another table, since people renamed the one that it was made for, is made anew. A view that is up to date is
 * left alone, since nobody can read one while it is replaced.
 */
export async function ensureCurrentView(session: Session, wanted: CurrentView): Promise<void> {
  const { target, key, cursor, marksDeleted } = wanted;
  const view = quoteTable(viewOf(target));
  const found = await readView(session, target);
  if (found !== undefined && !found.comment.startsWith(COMMENT)) {
    throw new DatakitError(
      'TargetConflict',
      `${BRONZE}.${currentViewName(target)} exists and was not made by datakit-postgres`,
    );
  }
  const comment = commentOf(wanted);
  if (found?.comment === comment && found.showsTable && found.columns === 'same') return;
  const attached = found?.columns === 'other' ? await dropView(session, view) : [];
  const keys = key.map((name) => `b.${quoteName(name)}`).join(', ');
  const filter = marksDeleted ? ` WHERE ${DELETED_AT.name} IS NULL` : '';
  // to replace a view without its options would reset them
  await session.query(
    `CREATE OR REPLACE VIEW ${view} ${found?.options ?? ''} AS SELECT * FROM (
       SELECT DISTINCT ON (${keys}) b.* FROM ${quoteTable({ schema: BRONZE, name: target })} AS b
        ORDER BY ${keys}, b.${LOADED_AT} DESC, b.${quoteName(cursor)} DESC NULLS LAST) AS newest${filter}`,
  );
  await session.query(`COMMENT ON VIEW ${view} IS ${quoteText(comment)}`);
  await attach(session, view, attached);
}

/** Describes everything that decides what a view shows, except its columns. */
function commentOf({ key, cursor, marksDeleted }: Omit<CurrentView, 'target'>): string {
  const without = marksDeleted ? ', without those that are marked as deleted' : '';
  return `${COMMENT}its table, by (${key.map(quoteName).join(', ')}) and ${quoteName(cursor)}${without}`;
}

interface FoundView {
  readonly comment: string;
  /** `WITH (security_invoker = 'true')`; empty if nobody set any. */
  readonly options: string;
  /** False if it was made for another table, which had the name before. */
  readonly showsTable: boolean;
  /** Its columns compared with those of the table; `added` if the table has more, after the same ones. */
  readonly columns: 'same' | 'added' | 'other';
}

const columnsOf = (oid: string): string =>
  `ARRAY(SELECT ROW(attname, atttypid, atttypmod, attcollation)::text FROM pg_catalog.pg_attribute
          WHERE attrelid = ${oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum)`;

/** Returns whatever has the view's name; undefined if nothing has. */
async function readView(session: Session, target: string): Promise<FoundView | undefined> {
  const [row] = await session.query<FoundView & Record<string, unknown>>(
    `SELECT coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
            coalesce((SELECT 'WITH (' || string_agg(format('%I = %L', option_name, option_value), ', ') || ')'
                        FROM pg_options_to_table(c.reloptions)), '') AS options,
            EXISTS (SELECT FROM pg_catalog.pg_rewrite r
                      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
                     WHERE r.ev_class = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
                       AND d.refobjid = to_regclass($2)) AS "showsTable",
            CASE WHEN shown = has THEN 'same'
                 WHEN shown = has[1:cardinality(shown)] THEN 'added' ELSE 'other' END AS columns
       FROM pg_catalog.pg_class c
      CROSS JOIN LATERAL (SELECT ${columnsOf('c.oid')} AS shown, ${columnsOf('to_regclass($2)')} AS has) AS compared
      WHERE c.oid = to_regclass($1)`,
    [quoteTable(viewOf(target)), quoteTable({ schema: BRONZE, name: target })],
  );
  return row;
}

/**
 * Drops our view, so that the type of a column can change, and returns what restores it with all that people gave it:
 * options, grants and comments, of the view and of its columns.
 *
 * @throws {DatakitError} SchemaConflict if something depends on the view
 */
export async function takeCurrentView(
  session: Session,
  target: string,
): Promise<{ readonly putBack: () => Promise<void> } | undefined> {
  const found = await readView(session, target);
  if (found === undefined || !found.comment.startsWith(COMMENT)) return undefined;
  const view = quoteTable(viewOf(target));
  const { definition } = await session.one<{ definition: string }>(
    `SELECT pg_get_viewdef(to_regclass($1)) AS definition`,
    [view],
  );
  const attached = await dropView(session, view);
  return {
    putBack: async () => {
      await session.query(`CREATE VIEW ${view} ${found.options} AS ${definition}`);
      await session.query(`COMMENT ON VIEW ${view} IS ${quoteText(found.comment)}`);
      await attach(session, view, attached);
    },
  };
}

/** A statement that restores what people gave a view. */
interface Attached {
  readonly statement: string;
  /** The column that it is about; null if it is about the view. */
  readonly column: string | null;
}

/** @throws {DatakitError} SchemaConflict if something depends on the view */
async function dropView(session: Session, view: string): Promise<Attached[]> {
  const attached = [...(await readGrants(session, view)), ...(await readColumnComments(session, view))];
  await orSchemaConflict(
    `The view ${view} must be made anew for other columns, and something depends on it`,
    async () => session.query(`DROP VIEW ${view}`),
  );
  return attached;
}

/** Gives a view that was made anew what it had before, except on columns that are gone. */
async function attach(session: Session, view: string, attached: readonly Attached[]): Promise<void> {
  if (attached.length === 0) return;
  const columns = await session.query<{ name: string }>(
    `SELECT attname AS name FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0`,
    [view],
  );
  const present = new Set<string | null>([null, ...columns.map(({ name }) => name)]);
  for (const { statement, column } of attached) if (present.has(column)) await session.query(statement);
}

/** Returns the statements that grant what others were granted on the view and on its columns. */
async function readGrants(session: Session, view: string): Promise<Attached[]> {
  return session.query<Attached & Record<string, unknown>>(
    `SELECT format('GRANT %s%s ON %s TO %s%s', g.privilege_type, acls.columns, $1::text,
                   CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                   CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement, acls.of AS column
       FROM pg_catalog.pg_class c
      CROSS JOIN LATERAL (
        SELECT NULL AS of, '' AS columns, c.relacl AS acl
         UNION ALL
        SELECT attname::text, format(' (%I)', attname), attacl FROM pg_catalog.pg_attribute
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS acls
      CROSS JOIN LATERAL aclexplode(acls.acl) AS g
      WHERE c.oid = to_regclass($1) AND g.grantee <> c.relowner`,
    [view],
  );
}

async function readColumnComments(session: Session, view: string): Promise<Attached[]> {
  return session.query<Attached & Record<string, unknown>>(
    `SELECT format('COMMENT ON COLUMN %s.%I IS %L', $1::text, a.attname, d.description) AS statement, a.attname AS column
       FROM pg_catalog.pg_attribute a
       JOIN pg_catalog.pg_description d
         ON d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = a.attrelid AND d.objsubid = a.attnum
      WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`,
    [view],
  );
}
