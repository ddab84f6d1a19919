import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { PROGRESS_QUERY } from '../src/contract/progress.ts';
import { workflowId } from './run.ts';

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

/** Returns commands for a POSIX shell. */
export function suggestions(cli: string, server: Server, taskQueue: string): Suggestion[] {
  const temporal = (...parts: readonly string[]) => `${shellWord(cli)} workflow ${parts.join(' \\\n  ')}`;
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

interface Server {
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
}

/** Returns only the options that differ from the command line's defaults. */
function serverOptions({ temporalAddress, temporalNamespace }: Server): string[] {
  const usual = ['127.0.0.1:7233', 'localhost:7233'].includes(temporalAddress);
  return [
    ...(usual ? [] : [`--address ${temporalAddress}`]),
    ...(temporalNamespace === 'default' ? [] : [`--namespace ${temporalNamespace}`]),
  ];
}

function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
