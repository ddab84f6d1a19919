import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import type { CapturePhase } from '../contract/capture-changes.ts';
import type { Phase } from '../contract/progress.ts';

const keys = {
  table: defineSearchAttributeKey('DatakitTable', SearchAttributeType.KEYWORD),
  source: defineSearchAttributeKey('DatakitSource', SearchAttributeType.KEYWORD),
  mode: defineSearchAttributeKey('DatakitMode', SearchAttributeType.KEYWORD),
  rows: defineSearchAttributeKey('DatakitRows', SearchAttributeType.INT),
  phase: defineSearchAttributeKey('DatakitPhase', SearchAttributeType.KEYWORD),
};

export interface Described {
  readonly table?: string;
  readonly slot?: string;
  readonly source: string;
  readonly mode: 'full' | 'incremental' | 'database' | 'capture';
}

/**
 * Shows a run in lists of workflows and makes it searchable.
 *
 * A search attribute that the namespace does not know blocks the workflow for ever, so nothing is set until an
 * activity has said that it knows them.
 */
export class Visibility {
  readonly #described: Described;
  #known = false;
  #shown = false;

  constructor(described: Described) {
    this.#described = described;
  }

  /** Called with the answer of the first activity. */
  isKnown(known: boolean): void {
    this.#known = known;
  }

  show(phase: Phase | CapturePhase, rows?: number): void {
    const { table, source, mode } = this.#described;
    if (!this.#shown) upsertMemo({ ...this.#described });
    if (this.#known) {
      upsertSearchAttributes([
        ...(this.#shown
          ? []
          : [
              { key: keys.source, value: source },
              { key: keys.mode, value: mode },
              ...(table === undefined ? [] : [{ key: keys.table, value: table }]),
            ]),
        { key: keys.phase, value: phase },
        ...(rows === undefined ? [] : [{ key: keys.rows, value: rows }]),
      ]);
    }
    this.#shown = true;
  }
}
