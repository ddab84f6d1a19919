import { readCapture, type Capture } from '../bronze/cdc/positions.ts';
import type { Description, KnownColumn } from '../bronze/cdc/tables.ts';
import type { CopySmallTablesRequest } from '../contract/capture-activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { quoteTable } from '../postgres/identifiers.ts';
import { findCandidates, findHeirs, type Candidate } from '../postgres/replication/candidates.ts';
import { findRelations } from '../postgres/catalog/table.ts';
import type { Database, TransactionOptions } from '../postgres/database.ts';
import { findPublication, findPublished, type PublishedTable } from '../postgres/replication/publications.ts';
import type { Session } from '../postgres/session.ts';
import { partsOf, readCatalogEntry } from './live-table.ts';

/** The key may differ from that of the last copy. */
export interface PublishedDescription extends Description {
  readonly candidate: Candidate;
  readonly published: PublishedTable;
  /** True if tables inherit from it, whose rows come under their own names. */
  readonly hasHeirs: boolean;
}

/** How a publication sends tables, by OID. */
export type Published = ReadonlyMap<number, PublishedTable>;

/**
 * Reads how its publication sends tables that are about to be described: to tell it of one, the server looks at all that
 * it sends. If it is altered before they are, streams notice, as they do if it is altered afterwards.
 */
export async function readPublished(
  source: Database,
  warehouse: Database,
  request: CopySmallTablesRequest,
  limits: TransactionOptions,
): Promise<Published> {
  const { publication: name } = await warehouse.read(limits, async (session) =>
    readCapture(session, request),
  );
  const publication = await source.read(limits, async (session) => {
    const relations = await findRelations(session, request.tables);
    return findPublication(
      session,
      name,
      relations.map(({ oid }) => oid),
    );
  });
  return new Map(publication?.tables.map((table) => [table.oid, table]));
}

/**
 * Describes a captured table as its publication sends it.
 *
 * @param known what has been read of that
 * @throws {DatakitError} PublicationConflict; PlanOutdated if it is another table than in the snapshot
 */
export async function describePublished(
  source: Session,
  { publication: name }: Pick<Capture, 'publication'>,
  table: TableName,
  known?: Published,
): Promise<PublishedDescription> {
  const [candidate] = await findCandidates(source, [table]);
  const published =
    candidate && (known?.get(candidate.oid) ?? (await findPublished(source, name, candidate.oid)));
  if (published === undefined || candidate === undefined) {
    await requireSameTable(source, table, candidate?.oid);
    throw new DatakitError(
      'PublicationConflict',
      `The publication "${name}" does not send ${formatTableName(table)}`,
      { advice: 'Let it send the table under this name, or take the table out with removeTables.' },
    );
  }
  const columns = await source.query<KnownColumn & { parts: KnownColumn['parts'] | null }>(
    `SELECT attname AS name, atttypid AS "typeOid", atttypmod AS modifier, attnum AS number, xmin::text AS version,
            ${partsOf('atttypid')} AS parts
       FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = ANY ($2) AND attnum > 0 ORDER BY attnum`,
    [published.oid, published.columns],
  );
  const catalog = (await readCatalogEntry(source, published.oid)) ?? null;
  const heirs = await findHeirs(source, [candidate]);
  return {
    candidate,
    published,
    columns: columns.map(({ parts, ...column }) => ({ ...column, ...(parts !== null && { parts }) })),
    key: candidate.key,
    catalog,
    membership: published.membership,
    hasHeirs: heirs.length > 0,
  };
}

/** What a publication sends is reported as of now, even to a transaction whose snapshot has an earlier table. */
async function requireSameTable(source: Session, table: TableName, oid: number | undefined): Promise<void> {
  const { now } = await source.one<{ now: number | null }>('SELECT to_regclass($1)::oid AS now', [
    quoteTable(table),
  ]);
  if (now === oid) return;
  if (now === null) {
    throw new DatakitError('UndefinedObject', `${formatTableName(table)} is no longer in the source`, {
      advice: 'If the capture no longer needs it, remove it with removeTables.',
    });
  }
  throw new DatakitError('PlanOutdated', `${formatTableName(table)} is another table than in the snapshot`);
}
