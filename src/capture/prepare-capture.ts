import { findCapture, forgetCapture, takeOver, type Capture } from '../bronze/cdc/positions.ts';
import type { PrepareCaptureRequest, PreparedCapture } from '../contract/capture-activities.ts';
import { DatakitError } from '../contract/failures.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import { LONGEST_LOCK_TIMEOUT } from '../extraction/plan/plan-run.ts';
import { dropSlot, endStreamOf, findSlot } from '../postgres/replication/slots.ts';
import { beginCapture } from './begin-capture.ts';
import type { WritingContext } from './capture-context.ts';
import { compareSlot } from './compare-positions.ts';
import { resumeCapture } from './resume-capture.ts';
import { identifySource, readSourceFacts } from './source-facts.ts';

export interface PrepareContext extends WritingContext {
  /** Returns whether the workflow of a run is under way, or may be. */
  readonly mayBeRunning: (run: RunIdentity) => Promise<boolean>;
}

/**
 * Gets a capture to where it can copy or stream: everything that can be refused is refused here, before
 * anything is created.
 */
export async function prepareCapture(
  { input, goesOn, ...run }: PrepareCaptureRequest,
  { warehouse, source, signal, attempt, mayBeRunning }: PrepareContext,
): Promise<PreparedCapture> {
  const limits = { run: run.runId, signal, attempt };
  const identity = await identifySource(source, run.runId, signal);
  return warehouse.write(limits, async (target) => {
    const capture = await findCapture(target, input.source, input.slot);
    return source.write({ ...limits, lockTimeout: LONGEST_LOCK_TIMEOUT }, async (session) => {
      const facts = await readSourceFacts(session, input, identity);
      const slot = await findSlot(session, input.slot);
      const outcome = compareSlot({ ...facts, name: input.slot, capture, slot });
      if (outcome === 'new' && goesOn === true) throw dropped(input);
      const common = { target, session, input, facts };
      if (outcome === 'resume' && capture !== undefined) {
        await takeOver(target, capture, run);
        return resumeCapture(common, capture);
      }
      if (outcome === 'again' && capture !== undefined) {
        if (capture.runId !== run.runId && (await mayBeRunning(capture))) throw underWay(capture);
        if (slot !== undefined) {
          await endStreamOf(session, input.slot, capture.runId);
          await dropSlot(session, input.slot);
        }
        await forgetCapture(target, capture.captureId);
      }
      return beginCapture(common, run);
    });
  });
}

const dropped = ({ slot }: CaptureChangesInput): DatakitError =>
  new DatakitError('SlotLost', `The capture of slot "${slot}" was dropped while its workflow ran`, {
    advice: 'If it is still needed, start it again: it copies all tables again.',
  });

const underWay = ({ slot, workflowId }: Capture): DatakitError =>
  new DatakitError(
    'AlreadyRunning',
    `The first copy on slot "${slot}" is being made by the workflow "${workflowId}"`,
  );
