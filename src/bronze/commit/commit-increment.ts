import type { IncrementalOutcome, SchemaChange } from '../../contract/incremental.ts';
import type { Session } from '../../postgres/session.ts';
import { readColumnDefinitions, requireLoaded } from '../schema/bronze-table.ts';
import { recordCheckpoint } from '../bookkeeping/checkpoints.ts';
import { ensureCurrentView } from '../schema/current-view.ts';
import { markDeleted } from './deleted-keys.ts';
import { protectionOf, type IncrementalPlan } from '../incremental-plan.ts';
import { followSchema } from '../schema/follow-schema.ts';
import { orKeyConflict } from '../schema/key-index.ts';
import { orUnidentified } from '../schema/replica-identity.ts';
import { orConstrained } from '../schema/schema-conflict.ts';
import { BRONZE, DELETED_AT, metadataColumns } from '../layout.ts';
import { moveStatement } from './move-rows.ts';
import { stagingKeys, type StagedFacts, type StoredPlan } from '../bookkeeping/plans.ts';
import { nextLoadedAt } from '../bookkeeping/targets.ts';

/** A plan whose staging table is loaded and prepared. */
export interface PreparedIncrement extends StoredPlan {
  readonly incremental: IncrementalPlan;
  readonly staged: StagedFacts;
}

/** Moves the rows of an increment into bronze and records the outcome, all in the transaction of the session. */
export async function commitIncrement(
  session: Session,
  stored: PreparedIncrement,
  rows: number,
): Promise<IncrementalOutcome> {
  const { incremental, plan, staging } = stored;
  const bronze = await requireLoaded(session, plan.target);
  const loadedAt = await nextLoadedAt(session, plan.target);
  const metadata = metadataColumns({ ...plan, loadedAt, runId: stored.runId });
  const { changes, present } = await followSchema(session, bronze, stored, {
    policy: incremental.schemaChanges,
    metadata: [...metadata, ...(incremental.keyChunks > 0 ? [DELETED_AT] : [])],
  });
  const planned = new Set(plan.columns.map(({ name }) => name));
  const written = new Set<string>([...planned, ...metadata.map(({ name }) => name)]);
  const statement = moveStatement(
    {
      staging,
      storage: bronze.storage,
      metadata,
      columns: present.filter(({ name }) => planned.has(name)),
      others: present.map(({ name }) => name).filter((name) => !written.has(name)),
    },
    incremental,
  );
  const { key, keyChunks } = incremental;
  const { moved, deleted } = await orUnidentified(bronze.storage, async () => ({
    moved: await orKeyConflict(incremental, async () =>
      orConstrained(async () => session.one<{ added: string; replaced: string }>(statement)),
    ),
    deleted:
      keyChunks === 0
        ? 0
        : await markDeleted(session, {
            keys: stagingKeys(staging),
            storage: bronze.storage,
            key: present.filter(({ name }) => key.includes(name)),
            at: loadedAt,
          }),
  }));
  const [added, replaced] = [Number(moved.added), Number(moved.replaced)];
  return finishIncremental(session, stored, {
    added,
    replaced,
    unchanged: rows - added - replaced,
    deleted,
    changes,
  });
}

interface Moved extends Pick<IncrementalOutcome, 'added' | 'replaced' | 'unchanged' | 'deleted'> {
  readonly changes: readonly SchemaChange[];
}

/** Completes an incremental run, whether its rows were moved or replaced all that bronze had. */
export async function finishIncremental(
  session: Session,
  { planId, plan, incremental, staged, runId }: PreparedIncrement,
  { changes, ...counts }: Moved,
): Promise<IncrementalOutcome> {
  const { cursor, write, key, extraction, origin } = incremental;
  const protection = protectionOf(incremental.limit);
  const settings = { column: cursor.column, type: cursor.kind, write, key, where: plan.where };
  const isNew = staged.checkpoint !== incremental.checkpoint || incremental.isOfAnotherOrigin === true;
  if (staged.checkpoint !== null && isNew) {
    const value = staged.checkpoint;
    await recordCheckpoint(session, { ...plan, ...settings, value, runId, protection, planId, origin });
  }
  if (incremental.currentView) {
    const present = await readColumnDefinitions(session, { schema: BRONZE, name: plan.target });
    const marksDeleted = present.some(({ name }) => name === DELETED_AT.name);
    await ensureCurrentView(session, { target: plan.target, key, cursor: cursor.column, marksDeleted });
  }
  return {
    column: cursor.column,
    extraction,
    readFrom: incremental.range.from,
    previousCheckpoint: incremental.checkpoint,
    checkpoint: staged.checkpoint,
    protection,
    ...counts,
    nullCursors: staged.nullCursors,
    schemaChanges: changes,
  };
}
