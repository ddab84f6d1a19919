import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { readEnvironment } from '../config/environment.ts';
import { readTelemetry } from '../config/telemetry.ts';
import type { Environment } from '../config/variables.ts';
import { connectDatabases } from './connect-databases.ts';
import { connectTemporal } from './connect-temporal.ts';
import { createWorkers, type WorkersOptions } from './create-workers.ts';
import { jsonLine } from './json-log.ts';
import { isNews } from './log-filter.ts';
import { runTogether } from './run-together.ts';
import { registerSearchAttributes } from './search-attributes.ts';
import { telemetryOptions } from './telemetry-options.ts';
import { openTracing } from './tracing.ts';

const SHUTDOWN_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Runs a worker from its environment until it ends: SIGINT and SIGTERM shut it down gracefully. */
export async function runWorker(
  environment: Environment,
  code: Pick<WorkersOptions, 'workflowBundle'> = {},
): Promise<void> {
  const logger = new DefaultLogger('INFO', (entry) => {
    if (isNews(entry)) process.stderr.write(jsonLine(entry));
  });
  const telemetry = readTelemetry(environment);
  Runtime.install({
    logger,
    telemetryOptions: telemetryOptions(telemetry),
    shutdownSignals: [...SHUTDOWN_SIGNALS],
  });

  const configuration = readEnvironment(environment);
  const { connection, namespace } = await connectTemporal(async (options) =>
    NativeConnection.connect(options),
  );
  const databases = connectDatabases(configuration);
  const tracing = telemetry.collectorUrl === undefined ? undefined : openTracing(telemetry.collectorUrl);
  try {
    await databases.ready().catch((error: unknown) => {
      logger.warn('the warehouse is not ready; the first run tries again', { reason: String(error) });
    });
    if (telemetry.registerSearchAttributes) await registerSearchAttributes(connection, namespace);
    const workers = await createWorkers({
      ...configuration,
      ...code,
      connection,
      namespace,
      dependencies: databases,
      tracing,
    });
    logger.info('worker ready', {
      taskQueue: configuration.taskQueue,
      sources: [...configuration.sources.keys()],
    });
    for (const signal of SHUTDOWN_SIGNALS) {
      process.once(signal, () => logger.info('worker stopping: it hands over its work', { signal }));
    }
    await runTogether(workers, () => {
      logger.error('a worker has failed: the process ends');
      process.exit(1);
    });
    logger.info('worker stopped');
  } finally {
    await databases.close();
    await tracing?.close();
    await connection.close();
  }
}
