import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';

const level = process.env['DATAKIT_TEST_LOG'] === undefined ? 'ERROR' : 'DEBUG';

/** Only errors in the output of the tests; all of it where DATAKIT_TEST_LOG asks for it. */
Runtime.install({
  logger: new DefaultLogger(level),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: level, other: 'ERROR' }) } },
});
