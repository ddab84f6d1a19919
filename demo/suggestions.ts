import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { PROGRESS_QUERY } from '../src/contract/progress.ts';
import { workflowId } from './run.ts';

/** Where the command line looks by itself. */
const DEFAULT_ADDRESSES = ['127.0.0.1:7233', 'localhost:7233'];

const lateFlights: ExtractTableRequest = {
  table: 'flights',
  columns: ['id', 'date', 'origin', 'delay'],
  where: 'delay > 120',
  target: 'br_late_flights',
};

export interface Suggestion {
  readonly what: string;
  readonly command: string;
}

/** Commands for a POSIX shell. */
export function suggestions(cli: string, address: string, taskQueue: string): Suggestion[] {
  const options = DEFAULT_ADDRESSES.includes(address) ? '' : ` --address ${address}`;
  const temporal = (command: string, rest: string) =>
    `${shellWord(cli)} workflow ${command}${options} ${rest}`;
  const id = workflowId('flights');
  return [
    {
      what: 'Extract some rows and columns',
      command: temporal(
        'execute',
        `--type extractTable --task-queue ${taskQueue} --workflow-id demo-late-flights --input ${shellWord(JSON.stringify(lateFlights))}`,
      ),
    },
    { what: 'Show what a run did', command: temporal('show', `--workflow-id ${id}`) },
    {
      what: 'Ask a run how far it is',
      command: temporal('query', `--workflow-id ${id} --type ${PROGRESS_QUERY}`),
    },
  ];
}

function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
