import { describe, expect, test } from 'vitest';
import type { Progress } from '../../src/contract/progress.ts';
import type { Ending, RunView } from '../../demo/run-view.ts';
import { bar, percent, rate } from '../../demo/terminal/figures.ts';
import { runLine } from '../../demo/terminal/run-line.ts';
import { RunLog } from '../../demo/terminal/run-log.ts';
import { summary } from '../../demo/terminal/summary.ts';
import { textTable } from '../../demo/terminal/text-table.ts';

const BEGAN = 1_000_000;

const progress: Progress = {
  table: 'public.flights',
  phase: 'copying',
  rows: 1_620_000,
  bytes: 96 * 1024 * 1024,
  chunksDone: 27,
  chunks: 50,
  parallelism: 4,
  copyingSince: BEGAN,
  restarts: 0,
};

const copying: RunView = { table: 'flights', progress, ending: undefined };
const waiting: RunView = { table: 'flights', progress: undefined, ending: undefined };

const finished: Ending = {
  kind: 'finished',
  milliseconds: 4_000,
  result: {
    table: 'public.flights',
    target: 'bronze.br_flights',
    runId: 'run',
    outcome: 'committed',
    rows: 3_000_000,
    bytes: 180 * 1024 * 1024,
    chunks: 50,
    partitions: 7,
    duration: '4.0 s',
    restarts: 0,
    warnings: ['row-level security may hide rows'],
  },
};

describe('figures', () => {
  test('only what is complete is full', () => {
    expect([bar(0, 4), bar(0.99, 4), bar(1, 4)]).toEqual(['░░░░', '███░', '████']);
    expect([percent(0), percent(0.999), percent(1)]).toEqual(['  0 %', ' 99 %', '100 %']);
  });

  test('there is no rate before any time has passed', () => {
    expect([rate(1024, 0), rate(1024 * 1024, 500)]).toEqual(['', '2 MB/s']);
  });
});

describe('the line of a run', () => {
  test('while it copies tells pace and remaining time', () => {
    const line = runLine(copying, BEGAN + 2_000);
    expect(line).toMatch(/^ {2}flights +copying +█{12}░{12} +54 % +1,620,000 rows +48 MB\/s +ETA 1\.7 s$/);
  });

  test('before the first answer promises nothing', () => {
    expect(runLine(waiting, BEGAN)).toMatch(/^ {2}flights +waiting +░{24} +0 % +0 rows$/);
  });

  test('while it plans has no pace', () => {
    const planning = {
      ...progress,
      phase: 'planning',
      chunks: 0,
      chunksDone: 0,
      rows: 0,
      bytes: 0,
      copyingSince: 0,
    } as const;
    expect(runLine({ ...copying, progress: planning }, BEGAN)).toMatch(/ 0 rows$/);
  });

  test('after its end is of the whole run, and stands still', () => {
    const line = runLine({ ...copying, ending: finished }, BEGAN + 60_000);
    expect(line).toMatch(/done +█{24} +100 % +3,000,000 rows +45 MB\/s$/);
  });

  test('when it failed says why', () => {
    const line = runLine({ ...copying, ending: { kind: 'failed', reason: 'no such table' } }, BEGAN);
    expect(line).toMatch(/failed .* no such table$/);
  });
});

describe('the lines for a log', () => {
  test('come every few seconds, and at the end', () => {
    const log = new RunLog();
    const at = (milliseconds: number, view: RunView) => log.lines([view], BEGAN + milliseconds).length;
    expect(at(0, waiting)).toBe(0);
    expect(at(600, copying)).toBe(0);
    expect(at(3_000, copying)).toBe(1);
    expect(at(3_300, copying)).toBe(0);
    expect(at(3_600, { ...copying, ending: finished })).toBe(1);
    expect(at(3_900, { ...copying, ending: finished })).toBe(0);
    expect(at(60_000, { ...copying, ending: finished })).toBe(0);
  });
});

describe('tables of text', () => {
  test('figures are aligned to the right', () => {
    const columns = [{ title: 'table' }, { title: 'rows', align: 'right' }] as const;
    expect(
      textTable(columns, [
        ['flights', '3,000'],
        ['a', '5'],
      ]),
    ).toEqual(['  table     rows', '  ───────  ─────', '  flights  3,000', '  a            5']);
  });

  test('the summary holds what finished, what it warned of, and what failed', () => {
    const failed: RunView = { ...waiting, table: 'movies', ending: { kind: 'failed', reason: 'gone' } };
    const lines = summary([{ ...copying, ending: finished }, failed]);
    expect(lines[2]).toMatch(/^ {2}bronze\.br_flights +3,000,000 +180 MB +50 +4\.0 s +45 MB\/s$/);
    expect(lines.slice(3)).toEqual(['  flights: row-level security may hide rows', '  movies failed: gone']);
  });
});
