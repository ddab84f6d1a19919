import { patched, sleep, type WorkflowInterceptors } from '@temporalio/workflow';

/**
 * Makes a bundle one of another version: each workflow begins with a step that the version before has not,
 * behind `patched`, as all changes of workflows are that have been released.
 */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [
    {
      execute: async (input, next) => {
        if (patched('a-step-more')) await sleep(1);
        return next(input);
      },
    },
  ],
});
