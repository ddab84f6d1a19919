import { ApplicationFailure, Context, log } from '@temporalio/activity';
import type { HoldSnapshotRequest } from '../contract/snapshot.ts';
import { DatakitError, isFinal } from '../contract/failures.ts';
import { leaveOneToCopyWith } from '../postgres/connections-left.ts';
import { serverFailure } from '../postgres/server-failure.ts';
import type { Session } from '../postgres/session.ts';
import { exportSnapshot } from '../postgres/snapshot.ts';
import type { Dependencies } from './dependencies.ts';
import { dropWhenTerminated } from './other-runs.ts';
import { keepSnapshot } from './keep-snapshot.ts';
import { countRetry } from './metrics.ts';
import { runActivity } from './run-activity.ts';

/** After this many attempts there is no other worker, and a second session on the same one is better than none. */
const ATTEMPTS_ELSEWHERE = 5;

/** Milliseconds between attempts to get a session; as for other activities. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

export async function holdSnapshot(
  dependencies: Dependencies,
  { source, runId, holder, from, idleTimeout }: HoldSnapshotRequest,
): Promise<void> {
  const { holdingSourceNamed, worker, isStopping } = dependencies;
  await runActivity(
    `holding a snapshot of source "${source}"`,
    async ({ signal, attempt, report }) => {
      if (from?.worker === worker && attempt.number < ATTEMPTS_ELSEWHERE) throw stepBack();
      const limits = {
        run: runId,
        signal,
        ...(idleTimeout !== undefined && { idleTimeout }),
      };
      let exported = false;
      const database = holdingSourceNamed(source);
      const hold = async (): Promise<void> =>
        database.read(limits, async (session) => {
          const snapshot = await exportSnapshot(session, from?.snapshot);
          await leaveOneToCopyWith(session, database.label);
          exported = true;
          report(snapshot);
          log.info('holding a snapshot', { source, holder, ...snapshot });
          await keepSnapshot(
            { holder, worker, snapshot },
            { source, isStopping, requireLife: async () => requireLife(session, database.label) },
          );
        });
      await untilItHolds(hold, () => exported);
    },
    { afterwards: async () => dropWhenTerminated(dependencies, async () => runId) },
  );
}

/**
 * Retries here while there is no snapshot yet and so nothing to lose, for a server that is away or has no session
 * left: another attempt of the activity would look like another snapshot to the run.
 */
async function untilItHolds(hold: () => Promise<void>, holds: () => boolean): Promise<void> {
  const context = Context.current();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await hold();
    } catch (error) {
      const kind = error instanceof DatakitError ? error.kind : 'Unexpected';
      if (holds() || isFinal(kind, attempt) || kind === 'SnapshotLost') throw error;
      countRetry(kind);
      log.warn('the snapshot has to wait', {
        reason: error instanceof Error ? error.message : String(error),
      });
      await context.sleep(Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE));
    }
  }
}

function stepBack(): ApplicationFailure {
  return ApplicationFailure.retryable(
    'This worker already holds the snapshot; waiting for another worker',
    'SameWorker',
  );
}

const KEEP_ROWS =
  'The run restarts by itself on a new snapshot. Set hot_standby_feedback on the replica, or raise max_standby_streaming_delay, so that it may keep one.';

async function requireLife(session: Session, label: string): Promise<void> {
  try {
    if (session.lost !== undefined) throw session.lost;
    await session.query('SELECT 1');
  } catch (error) {
    Context.current().cancellationSignal.throwIfAborted();
    const { kind, message } = serverFailure(error, label);
    throw new DatakitError('SnapshotLost', `The session that held the snapshot ended: ${message}`, {
      cause: error,
      ...(kind === 'SerializationFailure' && { advice: KEEP_ROWS }),
    });
  }
}
