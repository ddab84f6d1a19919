import { CancellationScope } from '@temporalio/workflow';

/** Does work with something else beside it, which is given up when the work ends and whose failures do not touch it. */
export async function withBeside<T>(beside: () => Promise<unknown>, work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  void scope.run(beside).catch(() => undefined);
  try {
    return await work();
  } finally {
    scope.cancel();
  }
}
