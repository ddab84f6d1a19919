import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { readEnvironment } from './config/environment.ts';
import { readTelemetry } from './config/telemetry.ts';
import { jsonLine } from './runtime/json-log.ts';
import { connectDatabases } from './runtime/connect-databases.ts';
import { createWorkers } from './runtime/create-workers.ts';
import { registerSearchAttributes } from './runtime/search-attributes.ts';
import { openTracing } from './runtime/tracing.ts';
import { telemetryOptions } from './runtime/telemetry-options.ts';

const logger = new DefaultLogger('INFO', (entry) => process.stderr.write(jsonLine(entry)));
const telemetry = readTelemetry(process.env);
Runtime.install({
  logger,
  telemetryOptions: telemetryOptions(telemetry),
  shutdownSignals: ['SIGINT', 'SIGTERM'],
});

const configuration = readEnvironment(process.env);
const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const connection = await NativeConnection.connect(connectionOptions);
const databases = connectDatabases(configuration);
const tracing = telemetry.collectorUrl === undefined ? undefined : openTracing(telemetry.collectorUrl);
try {
  await databases.ready().catch((error: unknown) => {
    logger.warn('the warehouse is not ready; the first run tries again', { reason: String(error) });
  });
  if (telemetry.registerSearchAttributes) await registerSearchAttributes(connection, namespace);
  const workers = await createWorkers({
    ...configuration,
    connection,
    namespace,
    dependencies: databases,
    tracing,
  });
  logger.info('worker ready', {
    taskQueue: configuration.taskQueue,
    sources: [...configuration.sources.keys()],
  });
  await Promise.all(workers.map(async (worker) => worker.run()));
} finally {
  await databases.close();
  await tracing?.close();
  await connection.close();
}
