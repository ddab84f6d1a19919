import { formatBytes, formatCount, formatDuration } from '../../src/contract/quantities.ts';
import type { Ending, RunView } from '../run-view.ts';
import { rate } from './figures.ts';
import { textTable, type TextColumn } from './text-table.ts';

const columns: readonly TextColumn[] = [
  { title: 'bronze table' },
  { title: 'rows', align: 'right' },
  { title: 'bytes', align: 'right' },
  { title: 'chunks', align: 'right' },
  { title: 'duration', align: 'right' },
  { title: 'pace', align: 'right' },
];

/** Returns a table of the finished runs, followed by remarks on individual runs. */
export function summary(views: readonly RunView[]): string[] {
  const rows = views.flatMap(({ ending }) => (ending?.kind === 'finished' ? [summaryRow(ending)] : []));
  return [...textTable(columns, rows), ...views.flatMap(remarks)];
}

function summaryRow({ result, milliseconds }: Extract<Ending, { kind: 'finished' }>): string[] {
  return [
    result.target,
    formatCount(result.rows),
    formatBytes(result.bytes),
    formatCount(result.chunks),
    formatDuration(milliseconds),
    rate(result.bytes, milliseconds),
  ];
}

function remarks({ table, ending }: RunView): string[] {
  if (ending?.kind === 'failed') return [`  ${table} failed: ${ending.reason}`];
  return (ending?.result.warnings ?? []).map((warning) => `  ${table}: ${warning}`);
}
