import type { Attempt } from '../contract/attempt.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import type { SourceFacts } from './source-facts.ts';

/** The databases of a capture. */
export interface CaptureContext {
  readonly warehouse: Database;
  readonly source: Database;
  readonly signal: AbortSignal;
}

/** For an activity that writes to either of them. */
export interface WritingContext extends CaptureContext {
  readonly attempt: Attempt;
}

/** A transaction in each of them, in which a capture is prepared. */
export interface Preparing {
  readonly target: Session;
  readonly session: Session;
  readonly input: CaptureChangesInput;
  readonly facts: SourceFacts;
}
