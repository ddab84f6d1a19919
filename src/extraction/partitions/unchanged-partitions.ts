import { createHash } from 'node:crypto';
import type { PartitionRecord } from '../../bronze/bookkeeping/partition-records.ts';
import type { PlannedColumn } from '../../bronze/plan.ts';
import type { SourceTypes } from '../../bronze/schema/type-mapping.ts';
import { readChangeEvidence } from '../../postgres/catalog/change-evidence.ts';
import { readEnumLabels } from '../../postgres/catalog/columns.ts';
import type { Session } from '../../postgres/session.ts';

/** A digest of what is read of each row: what decides its values beside the row itself. */
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

/** What proves of tables that their rows are as they were, by OID; nothing where values come from elsewhere too. */
export async function readEvidence(
  session: Session,
  tables: readonly number[],
  columns: readonly PlannedColumn[],
  types: SourceTypes,
): Promise<ReadonlyMap<number, string>> {
  const named = columns.some(({ read }) => read === 'object name' || read === 'object names');
  const composite = [...types.values()].some(({ kind }) => kind === 'composite');
  return named || composite ? new Map() : readChangeEvidence(session, tables);
}

/** Whether a partition that was read before is for sure as it was. */
export const isUnchanged = (
  record: PartitionRecord | undefined,
  reading: string,
  evidence: string | undefined,
): boolean => evidence !== undefined && record?.evidence === evidence && record.reading === reading;
