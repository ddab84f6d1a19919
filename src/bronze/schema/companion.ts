import type { TableName } from '../../contract/table-name.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { StoredPlan } from '../bookkeeping/plans.ts';

/** Returns the table beside a staging table that takes the parts of large objects. */
export const companionStaging = (staging: TableName): TableName => ({
  ...staging,
  name: `${staging.name}_lo`,
});

export async function createCompanion(session: Session, staging: TableName): Promise<void> {
  await session.query(
    `CREATE TABLE ${quoteTable(companionStaging(staging))} (oid oid, part integer, data bytea)
       WITH (autovacuum_enabled = false)`,
  );
}

/** Returns what a run makes visible together: its table, and the companion with its large objects if it has one. */
export function loadsOf(stored: StoredPlan): StoredPlan[] {
  const { staging, plan } = stored;
  if (plan.largeObjects === undefined) return [stored];
  const companion = { ...plan, target: plan.largeObjects.target, columns: [] };
  return [stored, { ...stored, staging: companionStaging(staging), plan: companion }];
}
