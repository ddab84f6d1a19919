import type { ExtractTableResult } from '../src/contract/extract-table.ts';
import type { Phase, Progress } from '../src/contract/progress.ts';

/** How a run ended. */
export type Ending =
  | { readonly kind: 'finished'; readonly result: ExtractTableResult; readonly milliseconds: number }
  | { readonly kind: 'failed'; readonly reason: string };

/** What is known of a run now. */
export interface RunView {
  readonly table: string;
  /** The last answer to the query `progress`. */
  readonly progress: Progress | undefined;
  readonly ending: Ending | undefined;
}

/** `waiting` until the workflow has answered for the first time. */
export function phaseOf({ progress, ending }: RunView): Phase | 'waiting' {
  if (ending !== undefined) return ending.kind === 'finished' ? 'done' : 'failed';
  return progress?.phase ?? 'waiting';
}

/** How much of the table is copied, from 0 to 1. */
export function fractionOf({ progress, ending }: RunView): number {
  if (ending?.kind === 'finished') return 1;
  return progress === undefined || progress.chunks === 0 ? 0 : progress.chunksDone / progress.chunks;
}

export function rowsOf({ progress, ending }: RunView): number {
  return ending?.kind === 'finished' ? ending.result.rows : (progress?.rows ?? 0);
}

/** Bytes, and the milliseconds they took so far: of the copying while it goes on, of the whole run afterwards. */
export function paceOf({ progress, ending }: RunView, now: number): { bytes: number; milliseconds: number } {
  if (ending?.kind === 'finished') return { bytes: ending.result.bytes, milliseconds: ending.milliseconds };
  if (progress === undefined || progress.copyingSince === 0) return { bytes: 0, milliseconds: 0 };
  return { bytes: progress.bytes, milliseconds: Math.max(now - progress.copyingSince, 0) };
}

/** Milliseconds until all is copied, if it goes on as it went; undefined where that cannot be said. */
export function remainingOf(view: RunView, now: number): number | undefined {
  const fraction = fractionOf(view);
  if (phaseOf(view) !== 'copying' || fraction === 0 || fraction === 1) return undefined;
  return (paceOf(view, now).milliseconds * (1 - fraction)) / fraction;
}
