import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Copied } from '../contract/chunks.ts';
import type { CaptureChangesInput, CaptureStatus, StreamProgress } from '../contract/capture-changes.ts';
import { listed } from '../contract/listed.ts';
import { formatBytes, formatCount } from '../contract/quantities.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import type { CapturedTables } from './captured-tables.ts';
import { escaped, markdownList } from './markdown.ts';
import { captureStatusQuery } from './messages.ts';
import { Visibility } from './visibility.ts';

/** The progress of a capture, kept where the query and the Web UI find it. */
export class CaptureProgress {
  readonly #visibility: Visibility;
  #isListed = false;
  #now: CaptureStatus;

  constructor({ slot, source }: Pick<CaptureChangesInput, 'slot' | 'source'>) {
    this.#visibility = new Visibility({ slot, source, mode: 'capture' });
    this.#now = {
      slot,
      phase: 'preparing',
      tables: [],
      copying: [],
      givenUp: [],
      copiedRows: 0,
      warnings: [],
      ...nothingYet,
    };
    setHandler(captureStatusQuery, () => this.#now, {
      description: 'What the capture is doing and up to where it has written.',
    });
    this.set({});
  }

  get now(): CaptureStatus {
    return this.#now;
  }

  /** From now on, lists of workflows show the capture and its phase; they do not for captures of earlier versions. */
  list(searchAttributes: boolean | undefined): void {
    if (searchAttributes === undefined) return;
    this.#visibility.isKnown(searchAttributes);
    this.#isListed = true;
  }

  set(changes: Partial<CaptureStatus>): void {
    const { phase = this.#now.phase } = changes;
    if (this.#isListed && phase !== this.#now.phase) this.#visibility.show(phase);
    this.#now = { ...this.#now, ...changes };
    setCurrentDetails(captureDetails(this.#now));
  }

  /** Records the progress of a stream, which ends any trouble. */
  streaming(progress: Partial<StreamProgress>): void {
    const { trouble: _trouble, ...others } = this.#now;
    this.#now = others;
    this.set(progress);
  }

  setTables({ all, copying, givenUp }: Pick<CapturedTables, 'all' | 'copying' | 'givenUp'>): void {
    this.set({ tables: namesOf(all), copying: namesOf(copying), givenUp: namesOf(givenUp) });
  }

  warn(warnings: readonly string[]): void {
    const unheard = warnings.filter((warning) => !this.#now.warnings.includes(warning));
    // the answer to a query is a payload, which is limited in size
    if (unheard.length > 0) this.set({ warnings: [...this.#now.warnings, ...unheard].slice(-100) });
  }

  copied({ rows }: Copied): void {
    this.set({ copiedRows: this.#now.copiedRows + rows });
  }
}

const namesOf = (tables: readonly TableName[]): string[] => tables.map(formatTableName);

const nothingYet = {
  position: null,
  transactions: 0,
  changes: 0,
  lagBytes: null,
  lagSeconds: null,
  changesPerSecond: 0,
  slotLagBytes: null,
};

const size = (bytes: number | null, rest: string): string =>
  bytes === null ? '' : `${formatBytes(bytes)}${rest}`;

/** Renders the status in Markdown, for the details in the Web UI. */
export function captureDetails(status: CaptureStatus): string {
  const { slot, phase, tables, copying, givenUp, copiedRows, trouble, warnings } = status;
  const lines = [
    `**${escaped(slot)}**: ${phase}`,
    '',
    ...markdownList([
      [`${formatCount(status.changes)} changes`, `${formatCount(status.changesPerSecond)} per second`],
      [
        status.lagSeconds === null ? '' : `${status.lagSeconds} s behind`,
        size(status.lagBytes, ' of the log to read'),
        size(status.slotLagBytes, ' held back in the source'),
      ],
      [
        status.position === null ? '' : `at ${status.position}`,
        status.committedAt === undefined ? '' : `committed ${status.committedAt}`,
      ],
      [`${tables.length} tables`, `${formatCount(copiedRows)} rows copied`],
    ]),
  ];
  if (copying.length > 0) lines.push('', `Copying: ${escaped(listed(copying, 10))}.`);
  if (givenUp.length > 0)
    lines.push('', `Given up, until named in addTables: ${escaped(listed(givenUp, 10))}.`);
  if (trouble !== undefined) lines.push('', `Waiting: ${escaped(trouble)}`);
  for (const warning of warnings.slice(-5)) lines.push('', escaped(warning));
  return lines.join('\n');
}
