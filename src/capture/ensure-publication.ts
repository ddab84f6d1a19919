import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName } from '../contract/table-name.ts';
import type { Candidate } from '../postgres/replication/candidates.ts';
import { findPublication, makePublication, type Publication } from '../postgres/replication/publications.ts';
import type { Session } from '../postgres/session.ts';

/**
 * Returns the publication, created if it is missing and checked if it is there.
 *
 * @throws {DatakitError} PublicationConflict, InsufficientPrivilege with the statement to run
 */
export async function ensurePublication(
  session: Session,
  candidates: readonly Candidate[],
  { publication: name }: CaptureChangesInput,
): Promise<Publication> {
  const found = await findPublication(session, name);
  if (found !== undefined) {
    requirePublished(found, candidates, name);
    return found;
  }
  await makePublication(session, name, candidates);
  const made = await findPublication(session, name);
  if (made === undefined) throw new DatakitError('Unexpected', `the publication "${name}" was not made`);
  return made;
}

function requirePublished(publication: Publication, candidates: readonly Candidate[], name: string): void {
  const published = new Set(publication.tables.map(({ oid }) => oid));
  const missing = candidates.filter(({ oid }) => !published.has(oid)).map(formatTableName);
  if (missing.length > 0) {
    throw new DatakitError(
      'PublicationConflict',
      `The publication "${name}" already exists and does not send ${listed(missing, 5)} under that name`,
    );
  }
  if (publication.missing.length === 0) return;
  throw new DatakitError(
    'PublicationConflict',
    `The publication "${name}" already exists and does not publish ${publication.missing.join(', ')}`,
  );
}

/** Warns of tables that the publication sends and the input does not name. */
export function warningsOfOthers(
  publication: Publication,
  candidates: readonly Candidate[],
  { publication: name }: CaptureChangesInput,
): string[] {
  const wanted = new Set(candidates.map(({ oid }) => oid));
  const others = publication.tables.filter(({ oid }) => !wanted.has(oid)).map(formatTableName);
  if (others.length === 0) return [];
  return [
    `The publication "${name}" also sends ${listed(others, 5)}, which "tables" does not name: their changes are logged, and no copy of them is made.`,
  ];
}
