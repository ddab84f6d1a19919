import { MirrorBatch, type MirrorValue } from '../bronze/cdc/mirror-batch.ts';
import { applyBatch, moveRow } from '../bronze/cdc/apply-changes.ts';
import type { Mirror } from '../bronze/cdc/mirror.ts';
import type { CaptureTable } from '../bronze/cdc/tables.ts';
import { BRONZE } from '../bronze/layout.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { quoteName } from '../postgres/identifiers.ts';
import { documentOf, isJson } from '../postgres/replication/json-values.ts';
import type { Session } from '../postgres/session.ts';

/** Most changes read at once, and most bytes of them as stored, which is compressed. */
const PAGE = { changes: 2_000, bytes: 1024 * 1024 };

/** A row as logged, with its values as text. */
type LoggedRow = Readonly<Record<string, string | null>>;

interface LoggedChange {
  readonly commit: string;
  readonly ordinal: string;
  readonly operation: string;
  readonly data: LoggedRow | null;
  readonly old: LoggedRow | null;
}

/**
 * Applies to a copy what was logged since its snapshot, page by page.
 *
 * @param check called before the first change is applied; not if there is none
 * @throws {DatakitError} PlanOutdated if the columns are no longer those of the copy
 */
export async function catchUp(
  session: Session,
  captureId: string,
  table: CaptureTable,
  mirror: Mirror,
  check: () => Promise<void>,
): Promise<void> {
  const snapshot = { commit: table.copiedAt ?? '0/0', ordinal: '0' };
  let after = snapshot;
  for (;;) {
    const changes = await readChanges(session, captureId, table, after);
    const last = changes.at(-1);
    if (last === undefined) return;
    if (after === snapshot) {
      await check();
      await readInOrder(session);
    }
    await applyLogged(session, table, mirror, changes);
    after = last;
  }
}

/**
 * SQL for an object with all values as text, so that none passes through a JavaScript number. Values of JSON
 * columns stay documents: `"abc"` is text in quotation marks there, and null is a value.
 */
const texts = (column: string, nulls: string): string =>
  `CASE WHEN jsonb_typeof(${column}) = 'object' THEN (
     SELECT json_object_agg(key, CASE WHEN key = ANY (${nulls}) THEN 'null' WHEN key = ANY ($6) AND jsonb_typeof(value) <> 'null' THEN value::text ELSE value #>> '{}' END)
       FROM jsonb_each(${column})) END`;

/**
 * Has the log read by its primary key, from where the last page ended. Statistics do not know how much was just logged
 * of a table that was just added, and for few changes the server reads and sorts the whole log, with every page.
 */
async function readInOrder(session: Session): Promise<void> {
  await session.query('SET LOCAL enable_sort = off');
}

/** Reads a page of changes: at least one, however large. */
async function readChanges(
  session: Session,
  captureId: string,
  { schema, name, columns }: CaptureTable,
  after: { readonly commit: string; readonly ordinal: string },
): Promise<LoggedChange[]> {
  const json = (columns ?? []).filter(({ typeOid }) => isJson(typeOid)).map((column) => column.name);
  return session.query<LoggedChange & Record<string, unknown>>(
    `WITH next AS (
       SELECT commit_lsn, ordinal, operation, data, old, json_nulls FROM ${BRONZE}.cdc_changes
        WHERE capture_id = $1 AND schema = $2 AND "table" = $3 AND (commit_lsn, ordinal) > ($4::pg_lsn, $5::bigint)
        ORDER BY commit_lsn, ordinal LIMIT ${PAGE.changes}
     ), page AS (
       SELECT *, row_number() OVER place AS number,
              sum(coalesce(pg_column_size(data), 0) + coalesce(pg_column_size(old), 0)) OVER place AS bytes
         FROM next WINDOW place AS (ORDER BY commit_lsn, ordinal)
     )
     SELECT c.commit_lsn::text AS commit, c.ordinal::text AS ordinal, operation, ${texts('data', 'json_nulls')} AS data, ${texts('old', 'NULL')} AS old
       FROM page AS c WHERE number = 1 OR bytes <= ${PAGE.bytes} ORDER BY c.commit_lsn, c.ordinal`,
    [captureId, schema, name, after.commit, after.ordinal, json],
  );
}

/**
 * Refuses changed columns. One added during the copy is not in the copy. One dropped is not in the change, and
 * an INSERT that lacks a value would pass for an update that did not send it.
 *
 * @throws {DatakitError} PlanOutdated
 */
function requireColumns(
  row: LoggedRow,
  { copied, sent }: { readonly copied: readonly string[]; readonly sent: readonly string[] },
): void {
  const came = Object.keys(row).filter((name) => !copied.includes(name));
  const went = sent.filter((name) => !Object.hasOwn(row, name));
  if (came.length + went.length === 0) return;
  throw new DatakitError(
    'PlanOutdated',
    `Columns changed while the table was copied: ${listed([...came, ...went].map(quoteName), 5)}`,
  );
}

async function applyLogged(
  session: Session,
  { columns, key }: CaptureTable,
  mirror: Mirror,
  changes: readonly LoggedChange[],
): Promise<void> {
  const known = columns ?? [];
  const copied = known.map(({ name }) => name);
  const newBatch = () => new MirrorBatch(copied, key.map((name) => copied.indexOf(name))); // prettier-ignore
  const values = (row: LoggedRow | null, sent: readonly string[] = []): MirrorValue[] => {
    requireColumns(row ?? {}, { copied, sent });
    return known.map(({ name, typeOid }) => {
      const value = row !== null && Object.hasOwn(row, name) ? row[name] : undefined;
      return value == null ? value : documentOf(value, typeOid, session.encoding);
    });
  };
  const found = (old: LoggedRow | null): MirrorValue[] => {
    const before = values(old, key);
    if (batch.hasKey(before)) return before;
    throw new DatakitError('PlanOutdated', 'An old row was logged without its key');
  };
  let batch = newBatch();
  for (const { operation, data, old } of changes) {
    if (operation === 'INSERT') batch.insert(values(data, copied));
    else if (operation === 'DELETE') batch.delete(found(old));
    else if (operation === 'TRUNCATE') batch.truncate();
    else {
      const move = batch.update(values(data), old === null ? undefined : found(old));
      if (move === undefined) continue;
      await applyBatch(session, mirror, batch);
      await moveRow(session, mirror, copied, move);
      batch = newBatch();
    }
  }
  await applyBatch(session, mirror, batch);
}
