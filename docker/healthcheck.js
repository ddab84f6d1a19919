import { hostname } from 'node:os';
import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';

/** A poll for work lasts a minute; two minutes without one mean that the worker hangs. */
const RECENT_MS = 120_000;

/** Exits with 0 if the worker in this container has polled Temporal recently. */
const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const connection = await Connection.connect(connectionOptions);
const { pollers } = await connection.workflowService.describeTaskQueue({
  namespace,
  taskQueue: { name: process.env['DATAKIT_TASK_QUEUE'] || 'datakit-postgres' },
});
const healthy = pollers.some(
  ({ identity, lastAccessTime }) =>
    identity?.endsWith(`@${hostname()}`) && Date.now() - Number(lastAccessTime?.seconds) * 1000 < RECENT_MS,
);
process.exit(healthy ? 0 : 1);
