import { Script, type Context, type RunningCodeInNewContextOptions } from 'node:vm';
import { DefaultLogger, makeTelemetryFilterString, Runtime, type LogEntry } from '@temporalio/worker';
import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared.js';
import { jsonLine } from '../../src/runtime/json-log.ts';
import { remember } from './secrets.ts';

const level = process.env['DATAKIT_TEST_LOG'] === undefined ? 'ERROR' : 'DEBUG';
const shown = new DefaultLogger(level);

/** Shows only errors in the test output, or everything if DATAKIT_TEST_LOG says so. All worker logs are kept. */
function log(entry: LogEntry): void {
  remember(jsonLine(entry));
  shown.log(entry.level, entry.message, entry.meta);
}

Runtime.install({
  logger: new DefaultLogger('INFO', log),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: level, other: 'ERROR' }) } },
});

// Temporal traces every promise of the process, to answer queries for what a workflow waits for. No test needs that,
// and it takes as much CPU as everything else that workflows do. Separate worker processes keep it.
Object.assign(globalHandlers, { setPromiseHook: () => undefined });

// Temporal limits the time of each step of a workflow, for which Node.js starts a thread every time.
const runInContext: Script['runInContext'] = Reflect.get(Script.prototype, 'runInContext');
Script.prototype.runInContext = function (
  this: Script,
  context: Context,
  options: RunningCodeInNewContextOptions = {},
) {
  const { timeout: _timeout, ...others } = options;
  return runInContext.call(this, context, others) as unknown;
};
