import type { Worker } from '@temporalio/worker';

/** Milliseconds from one look at the workers to the next. */
const PACE = 1_000;

/**
 * Runs workers until all have ended.
 *
 * A worker fails if Temporal refuses to give it work, for example because its namespace is gone. It may then never end, and
 * the others go on: without an end, the process would look alive, do no work, and be started again by nobody.
 *
 * @param onFailure ends the process, once a worker has failed and the SDK has logged why
 */
export async function runTogether(workers: readonly Worker[], onFailure: () => never): Promise<void> {
  const watch = setInterval(() => {
    if (workers.some((worker) => worker.getState() === 'FAILED')) onFailure();
  }, PACE);
  try {
    await Promise.all(workers.map(async (worker) => worker.run().catch(onFailure)));
  } finally {
    clearInterval(watch);
  }
}
