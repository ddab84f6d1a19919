import { DefaultLogger, makeTelemetryFilterString, Runtime, type LogEntry } from '@temporalio/worker';
import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared.js';
import { jsonLine } from '../../src/runtime/json-log.ts';
import { remember } from './secrets.ts';

const level = process.env['DATAKIT_TEST_LOG'] === undefined ? 'ERROR' : 'DEBUG';
const shown = new DefaultLogger(level);

/** Only errors in the output of the tests; all of it where DATAKIT_TEST_LOG asks for it. What workers log is kept. */
function log(entry: LogEntry): void {
  remember(jsonLine(entry));
  shown.log(entry.level, entry.message, entry.meta);
}

Runtime.install({
  logger: new DefaultLogger('INFO', log),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: level, other: 'ERROR' }) } },
});

// Temporal traces each promise of the process, to answer queries for what a workflow waits for. No test asks that, and
// it takes as much CPU as all else that workflows do. Workers in processes of their own do it.
Object.assign(globalHandlers, { setPromiseHook: () => undefined });
