import type { ExtractTableResult } from '../src/contract/extract-table.ts';
import type { Phase, Progress } from '../src/contract/progress.ts';

/** How a run ended. */
export type Ending =
  | { readonly kind: 'finished'; readonly result: ExtractTableResult; readonly milliseconds: number }
  | { readonly kind: 'failed'; readonly reason: string };

/** The current state of a run. */
export interface RunView {
  readonly table: string;
  /** The last answer to the query `progress`. */
  readonly progress: Progress | undefined;
  readonly ending: Ending | undefined;
}

/** Returns the phase, which is `waiting` until the workflow has answered for the first time. */
export function phaseOf({ progress, ending }: RunView): Phase | 'waiting' {
  if (ending !== undefined) return ending.kind === 'finished' ? 'done' : 'failed';
  return progress?.phase ?? 'waiting';
}

/** Returns the copied fraction of the table, from 0 to 1. */
export function fractionOf({ progress, ending }: RunView): number {
  if (ending?.kind === 'finished') return 1;
  return progress === undefined || progress.chunks === 0 ? 0 : progress.chunksDone / progress.chunks;
}

export function rowsOf({ progress, ending }: RunView): number {
  return ending?.kind === 'finished' ? ending.result.rows : (progress?.rows ?? 0);
}

/** Returns bytes, and the milliseconds they took: of the copying so far, or of the whole run once it has finished. */
export function paceOf({ progress, ending }: RunView, now: number): { bytes: number; milliseconds: number } {
  if (ending?.kind === 'finished') return { bytes: ending.result.bytes, milliseconds: ending.milliseconds };
  if (progress === undefined || progress.copyingSince === 0) return { bytes: 0, milliseconds: 0 };
  return { bytes: progress.bytes, milliseconds: Math.max(now - progress.copyingSince, 0) };
}

/** Estimates the milliseconds until everything is copied, at the pace so far; undefined if that is unknown. */
export function remainingOf(view: RunView, now: number): number | undefined {
  const fraction = fractionOf(view);
  if (phaseOf(view) !== 'copying' || fraction === 0 || fraction === 1) return undefined;
  return (paceOf(view, now).milliseconds * (1 - fraction)) / fraction;
}
