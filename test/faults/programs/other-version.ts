import { patched, sleep, type WorkflowInterceptors } from '@temporalio/workflow';

/**
 * Turns a bundle into another version: each workflow begins with an additional step, behind `patched`, like
 * every change to released workflows.
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
