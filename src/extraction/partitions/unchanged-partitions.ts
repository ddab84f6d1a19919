import { createHash } from 'node:crypto';
import type { PartitionRecord } from '../../bronze/bookkeeping/partition-records.ts';
import type { PlannedColumn } from '../../bronze/plan.ts';
import type { SourceTypes } from '../../bronze/schema/type-mapping.ts';
import { readChangeEvidence, type ChangeEvidence } from '../../postgres/catalog/change-evidence.ts';
import { readEnumLabels } from '../../postgres/catalog/columns.ts';
import type { Session } from '../../postgres/session.ts';

/** Digests how rows are read: everything that determines the values besides the rows themselves. */
export async function digestReading(
  session: Session,
  columns: readonly PlannedColumn[],
  types: SourceTypes,
  where: string | undefined,
): Promise<string> {
  const enums = [...types.values()].filter(({ kind }) => kind === 'enum').map(({ oid }) => oid);
  const labels = enums.length === 0 ? null : await readEnumLabels(session, enums);
  const read = JSON.stringify([columns, where ?? null, labels]);
  return createHash('sha256').update(read).digest('hex');
}

/** For tables of which nothing proves that they are unchanged. */
export const NO_EVIDENCE: ChangeEvidence = { of: new Map(), logEnd: null };

/**
 * Returns evidence that tables are unchanged; none if values also depend on other objects, undefined if the server
 * gives none of anything.
 */
export async function readEvidence(
  session: Session,
  tables: readonly number[],
  columns: readonly PlannedColumn[],
  types: SourceTypes,
): Promise<ChangeEvidence | undefined> {
  const named = columns.some(({ read }) => read === 'object name' || read === 'object names');
  const composite = [...types.values()].some(({ kind }) => kind === 'composite');
  return named || composite ? NO_EVIDENCE : readChangeEvidence(session, tables);
}

/** True if a partition is certainly unchanged since it was last read. */
export const isUnchanged = (
  record: PartitionRecord | undefined,
  reading: string,
  evidence: string | undefined,
): boolean => evidence !== undefined && record?.evidence === evidence && record.reading === reading;
