import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { PROGRESS_QUERY } from '../src/contract/progress.ts';
import type { LocalStack } from '../local/stack.ts';
import { serverOptions, shellWord } from '../local/temporal-command.ts';
import { workflowId } from './run.ts';

const lateFlights: ExtractTableRequest = {
  table: 'flights',
  columns: ['id', 'date', 'origin', 'delay'],
  where: 'delay > 120',
  target: 'br_late_flights',
};

type Server = Pick<LocalStack, 'temporalAddress' | 'temporalNamespace'>;

export interface Suggestion {
  readonly what: string;
  readonly command: string;
}

/**
 * Returns commands for a POSIX shell.
 *
 * @param cli how the shell finds `temporal`
 */
export function suggestions(cli: string, server: Server, taskQueue: string): Suggestion[] {
  const temporal = (...parts: readonly string[]) => `${cli} workflow ${parts.join(' \\\n  ')}`;
  const run = [...serverOptions(server), `--workflow-id ${workflowId('flights')}`].join(' ');
  const start = [...serverOptions(server), `--type extractTable --task-queue ${taskQueue}`].join(' ');
  const input = shellWord(JSON.stringify(lateFlights));
  return [
    {
      what: 'Extract some rows and columns',
      command: temporal(`start ${start}`, '--workflow-id demo-late-flights', `--input ${input}`),
    },
    { what: 'Show what a run did', command: temporal(`describe ${run}`) },
    { what: 'Query the progress of a run', command: temporal(`query ${run} --type ${PROGRESS_QUERY}`) },
  ];
}
