import { Connection } from '@temporalio/client';
import { connectTemporal, type TemporalConnection } from './connect-temporal.ts';
import { withoutProxyOnLoopback } from './direct-connection.ts';

/**
 * Connects a program that people run, and that is no worker.
 *
 * @throws saying what to do
 */
export const connectProgram = async (): Promise<TemporalConnection<Connection>> =>
  connectTemporal(async (options) => Connection.connect(withoutProxyOnLoopback(options)));
