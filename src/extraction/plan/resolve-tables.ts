import type { NewMember } from '../../bronze/bookkeeping/database-runs.ts';
import { readsItsOwnMoment, type ExtractDatabaseRequest } from '../../contract/extract-database.ts';
import { extractTableInput, type ExtractTableRequest } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatBytes } from '../../contract/quantities.ts';
import { showPath } from '../../contract/parse-input.ts';
import {
  formatTableName,
  isTooLong,
  MAX_IDENTIFIER_BYTES,
  utf8Length,
  type TableName,
} from '../../contract/table-name.ts';
import { TableSelection } from '../../contract/table-selection.ts';
import { findRelations } from '../../postgres/catalog/table.ts';
import { listTables, type ListedTable } from '../../postgres/catalog/tables.ts';
import type { Session } from '../../postgres/session.ts';

/** Bytes. The size of one chunk: a smaller table would have nothing to share out in a run of its own. */
export const LARGEST_SMALL_TABLE = 16 * 1024 * 1024;

/** Each costs nine of a history's 51,200 events (Temporal's limit); the rest is for packs, looks and signals. */
const MOST_CHILDREN = 3_000;
/** Bytes of the inputs of all children: as many as there are may be started at once, by one message of at most 4 MiB. */
const MOST_TOLD = 3 * 2 ** 20;
/** Bytes of the inputs of all tables, as the list of them has them: the defaults are in each. */
const LARGEST_LIST = 32 * 2 ** 20;

export interface Resolved {
  /** Those with a workflow of their own first, each kind largest first. */
  readonly members: readonly NewMember[];
  /** Tables that bronze has no rows of yet. */
  readonly added: readonly string[];
  /** Selected tables that bronze has rows of, but that no longer exist in the source. */
  readonly vanished: readonly string[];
}

/**
 * Finds the tables that an input selects.
 *
 * @param feeds the source tables that bronze has rows of
 * @throws {DatakitError} UndefinedObject if there are none; UnsupportedTable if no input could name one; InvalidInput if
 *   too many need a workflow of their own, or the entries that match one contradict each other
 */
export async function resolveTables(
  source: Session,
  request: ExtractDatabaseRequest,
  feeds: readonly TableName[],
): Promise<Resolved> {
  const selection = new TableSelection(request);
  const named = selection.named();
  const all = await listTables(source);
  const there = new Set(all.map(formatTableName));
  const selected = all.filter((table) => selection.has(table));
  requireTableNames(selected);
  const members = selected.map(({ schema, name, bytes }) => memberOf(selection, { schema, name }, bytes));
  // views and the like are extracted if named; a table that does not exist fails in its own run
  const unlisted = named.filter((table) => !there.has(formatTableName(table)));
  for (const table of unlisted) members.push(memberOf(selection, table, undefined));
  requireConsistentEntries(selection, members);
  requireShortList(members);
  if (members.length === 0) {
    throw new DatakitError('UndefinedObject', 'No table of the source matches any entry of "tables"');
  }
  const others = unlisted.length === 0 ? [] : await findRelations(source, unlisted);
  const existing = new Set([...there, ...others.map(formatTableName)]);
  const known = new Set(feeds.map(formatTableName));
  const called = new Set(named.map(formatTableName));
  return {
    members: boundChildren(members),
    added: members.map(formatTableName).filter((name) => existing.has(name) && !known.has(name)),
    vanished: feeds
      .filter((table) => selection.has(table))
      .map(formatTableName)
      .filter((name) => !there.has(name) && !called.has(name)),
  };
}

/** Refuses tables that no input could name. @throws {DatakitError} UnsupportedTable */
function requireTableNames(tables: readonly ListedTable[]): void {
  const unsayable = tables.filter(({ isSayable }) => !isSayable);
  if (unsayable.length > 0) {
    throw new DatakitError(
      'UnsupportedTable',
      `The names of these tables or their schemas have bytes that are no characters in UTF-8, here written as \\nnn: ${listed(unsayable.map(formatTableName), 3)}. Leave them out with "!" and the beginning of the name, or rename them`,
    );
  }
  const long = tables.filter(({ schema, name }) => isTooLong(schema) || isTooLong(name));
  if (long.length === 0) return;
  throw new DatakitError(
    'UnsupportedTable',
    `The names of these tables or their schemas have over ${MAX_IDENTIFIER_BYTES} bytes in UTF-8, which is more than a name can have: ${listed(long.map(formatTableName), 3)}. Leave them out with "!" and the beginning of the name, and read views with shorter names in their place`,
  );
}

/** Refuses entries that contradict each other. Which of them apply to the same table shows only now. */
function requireConsistentEntries(selection: TableSelection, members: readonly NewMember[]): void {
  for (const { request, ...table } of members) {
    if (!selection.combinesFor(table)) continue;
    const [issue] = extractTableInput.safeParse(request).error?.issues ?? [];
    if (issue === undefined) continue;
    throw new DatakitError(
      'InvalidInput',
      `Entries of "tables" that match ${formatTableName(table)} contradict each other: ${showPath(issue.path)}: ${issue.message}`,
    );
  }
}

/** @param bytes undefined for views and the like, which may be of any size */
function memberOf(selection: TableSelection, table: TableName, bytes: number | undefined): NewMember {
  const own = selection.requestFor(table);
  const large = bytes === undefined || bytes > LARGEST_SMALL_TABLE || needsItsOwnWorkflow(own);
  return { ...table, bytes: bytes ?? 0, large, request: own };
}

/** True if a table needs what one transaction in a pack cannot do, or what a workflow waits for. */
function needsItsOwnWorkflow(own: ExtractTableRequest): boolean {
  const { largeObjects, quietHours, maxBytesPerSecond, analyze } = own;
  return (
    readsItsOwnMoment(own) ||
    [largeObjects, quietHours, maxBytesPerSecond, analyze].some((input) => input !== undefined)
  );
}

/** Refuses settings that would be too much once each table has its own. */
function requireShortList(members: readonly NewMember[]): void {
  let bytes = 0;
  for (const member of members) {
    bytes += bytesTold(member);
    if (bytes <= LARGEST_LIST) continue;
    throw new DatakitError(
      'InvalidInput',
      `The settings of ${members.length} tables have more than ${formatBytes(LARGEST_LIST)} together, since each has those of "defaults" and of the patterns that match it. Shorten these, or share the tables out to several runs`,
    );
  }
}

/**
 * Limits the tables with workflows of their own to what the history of their parent and one message to Temporal have room
 * for: of those that are merely large, the smallest are packed like small ones.
 *
 * @returns the members, those with a workflow of their own first, each kind largest first
 * @throws {DatakitError} InvalidInput if too many cannot be packed
 */
export function boundChildren(members: readonly NewMember[]): NewMember[] {
  const needed = members.filter((one) => one.large && !isOnlyLarge(one));
  let children = needed.length;
  let told = needed.reduce((sum, one) => sum + bytesTold(one), 0);
  if (children > MOST_CHILDREN || told > MOST_TOLD) throw tooManyChildren(needed, told);
  const packed = new Set<NewMember>();
  for (const one of members.filter(isOnlyLarge).toSorted(bySize)) {
    children += 1;
    told += bytesTold(one);
    if (children > MOST_CHILDREN || told > MOST_TOLD) packed.add(one);
  }
  return members.map((one) => (packed.has(one) ? { ...one, large: false } : one)).toSorted(bySize);
}

function tooManyChildren(needed: readonly NewMember[], told: number): DatakitError {
  return new DatakitError(
    'InvalidInput',
    `${needed.length} tables need a workflow of their own, by their settings or because they are views or do not exist: ` +
      `${listed(needed.map(formatTableName), 3)}. Their settings have ${formatBytes(told)}. ` +
      `A run has room for ${MOST_CHILDREN} of them with ${formatBytes(MOST_TOLD)}. Share them out to several runs`,
  );
}

const bytesTold = ({ request }: NewMember): number => utf8Length(JSON.stringify(request));

const isOnlyLarge = ({ bytes, request }: NewMember): boolean =>
  bytes > LARGEST_SMALL_TABLE && !needsItsOwnWorkflow(request);

function bySize(a: NewMember, b: NewMember): number {
  if (a.large !== b.large) return a.large ? -1 : 1;
  return b.bytes - a.bytes || (formatTableName(a) < formatTableName(b) ? -1 : 1);
}
