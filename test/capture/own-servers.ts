import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import type { TemporalServer } from '../../local/temporal.ts';
import { Lab, type LabOptions } from '../setup/lab.ts';
import { startRestartableTemporal } from '../setup/restartable-temporal.ts';
import { createRoles } from '../setup/roles.ts';

/** Servers of this test alone, so that it may stop any of them. */
export class OwnServers implements AsyncDisposable {
  readonly source: PostgresServer;
  readonly warehouse: PostgresServer;
  readonly temporal: TemporalServer;

  private constructor(source: PostgresServer, warehouse: PostgresServer, temporal: TemporalServer) {
    this.source = source;
    this.warehouse = warehouse;
    this.temporal = temporal;
  }

  static async start(): Promise<OwnServers> {
    const [source, warehouse, temporal] = await Promise.all([
      startPostgres(),
      startPostgres(),
      startRestartableTemporal(),
    ]);
    const servers = new OwnServers(source, warehouse, temporal);
    try {
      await createRoles(source, warehouse);
      return servers;
    } catch (error) {
      await servers[Symbol.asyncDispose]();
      throw error;
    }
  }

  async lab(options: Pick<LabOptions, 'workers'> = {}): Promise<Lab> {
    const servers = { source: this.source.url('postgres'), warehouse: this.warehouse.url('postgres') };
    return Lab.open({ ...options, servers, temporalAddress: this.temporal.address });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.source.dispose(), this.warehouse.dispose(), this.temporal.dispose()]);
  }
}
