import { formatCount, formatDuration } from '../../src/contract/quantities.ts';
import { fractionOf, paceOf, phaseOf, remainingOf, rowsOf, type RunView } from '../run-view.ts';
import { bar, percent, rate } from './figures.ts';

const BAR_WIDTH = 24;

/** Formats `  flights      copying     █████████░░░  54 %  1,620,000 rows   48.2 MB/s  ETA 2.1 s` */
export function runLine(view: RunView, now: number): string {
  const fraction = fractionOf(view);
  const name = `${view.table.padEnd(12)} ${phaseOf(view).padEnd(10)}`;
  return `  ${name}  ${bar(fraction, BAR_WIDTH)} ${figures(view, now)}`.trimEnd();
}

/** Formats the line for a log, without the bar, which only repeats the percentage. */
export function logLine(view: RunView, now: number): string {
  return `  ${view.table.padEnd(12)} ${phaseOf(view).padEnd(10)} ${figures(view, now)}`.trimEnd();
}

function figures(view: RunView, now: number): string {
  if (view.ending?.kind === 'failed') return view.ending.reason;
  const { bytes, milliseconds } = paceOf(view, now);
  const rows = `${formatCount(rowsOf(view))} rows`.padStart(14);
  const pace = bytes === 0 ? '' : rate(bytes, milliseconds);
  const remaining = remainingOf(view, now);
  const eta = remaining === undefined ? '' : `ETA ${formatDuration(remaining)}`;
  return `${percent(fractionOf(view))}  ${rows}  ${pace.padStart(11)}  ${eta}`;
}
