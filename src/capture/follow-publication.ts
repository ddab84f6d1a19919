import { addWarnings, changeTablesOf, type Capture } from '../bronze/cdc/positions.ts';
import {
  NAMED_OTHERWISE,
  NOT_SENT,
  readTables,
  recordCopying,
  recordMembership,
  type CaptureTable,
} from '../bronze/cdc/tables.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { findPublication, type Publication } from '../postgres/replication/publications.ts';
import type { Session } from '../postgres/session.ts';

/** What a publication did not send for a while. */
export interface Missed {
  readonly warnings: readonly string[];
  readonly copyWanted: readonly TableName[];
}

/**
 * Compares what a publication sends with what it sent when last checked. PostgreSQL silently leaves out what a
 * publication does not send, and the position advances all the same. Tables that may lack changes are copied
 * again if changes are applied to their copies, and are named in a warning in any case.
 *
 * @returns the warnings, which are kept with the capture, and the tables to be copied again
 * @throws {DatakitError} PublicationConflict if it is gone, or no longer sends every kind of change
 */
export async function followPublication(
  target: Session,
  source: Session,
  { captureId, publication: name }: Pick<Capture, 'captureId' | 'publication'>,
): Promise<Missed> {
  const publication = await findPublication(source, name);
  requireWhole(publication, name);
  const byOid = new Map(publication.tables.map(({ oid, membership }) => [oid, membership]));
  const byName = new Map(publication.tables.map((table) => [formatTableName(table), table.membership]));
  // a renamed table is still the same one, but a copy that is made again is of what has its name
  const sent = ({ catalog, status, ...table }: CaptureTable) =>
    catalog === null || status === 'copying' ? byName.get(formatTableName(table)) : byOid.get(catalog.oid);
  const nowOf = new Map(
    (await readTables(target, captureId))
      // for a table being copied, this is recorded with the copy
      .filter(({ status, membership }) => status !== 'copying' || membership === NOT_SENT)
      .filter(({ catalog }) => catalog?.oid !== NAMED_OTHERWISE)
      .map((table) => [table, sent(table) ?? NOT_SENT]),
  );
  const others = [...nowOf].filter(([{ membership }, now]) => now !== membership);
  for (const [table, now] of others) await recordMembership(target, captureId, table, now);
  const tables = others.map(([table]) => table);
  const changed = tables.filter(({ membership }) => membership !== null && membership !== NOT_SENT);
  // their copies may have been given up since
  const back = tables.filter(({ status }) => status === 'copying').map(nameOf);
  if (changed.length === 0) return { warnings: [], copyWanted: back };
  const kept = changed.filter(({ mirrored }) => mirrored);
  for (const table of kept) await recordCopying(target, captureId, table);
  await changeTablesOf(target, captureId);
  const warnings = [
    `The publication "${name}" does not send ${namesOf(changed)}, or did not for a while, since it was altered or created again: changes may be missing from the log.`,
    ...(kept.length === 0
      ? []
      : [`The copies of ${namesOf(kept)} are made again, since changes of them may be missing.`]),
  ];
  await addWarnings(target, captureId, warnings);
  return { warnings, copyWanted: [...kept.map(nameOf), ...back] };
}

const nameOf = ({ schema, name }: TableName): TableName => ({ schema, name });

const namesOf = (tables: readonly TableName[]): string => listed(tables.map(formatTableName), 5);

function requireWhole(
  publication: Publication | undefined,
  name: string,
): asserts publication is Publication {
  if (publication === undefined) {
    throw new DatakitError(
      'PublicationConflict',
      `The publication "${name}" no longer exists: the slot cannot be read without it`,
      { advice: BRING_BACK },
    );
  }
  if (publication.missing.length === 0) return;
  throw new DatakitError(
    'PublicationConflict',
    `The publication "${name}" sends no ${publication.missing.join(', no ')} any more`,
    { advice: BRING_BACK },
  );
}

const BRING_BACK =
  'Make the publication as it was, then start the capture again. To go on with another one, run dropCapture first.';
