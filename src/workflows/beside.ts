import { CancellationScope } from '@temporalio/workflow';

/** Runs work with something else beside it, which is cancelled when the work ends and whose failures are ignored. */
export async function withBeside<T>(beside: () => Promise<unknown>, work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  void scope.run(beside).catch(() => undefined);
  try {
    return await work();
  } finally {
    scope.cancel();
  }
}
