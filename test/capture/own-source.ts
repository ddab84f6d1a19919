import { inject } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import type { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { createExtractor } from '../setup/roles.ts';
import { startTestServer } from '../setup/test-server.ts';
import { CapturedTable } from './captured-table.ts';

/** A captured table on a separate server, whose settings, roles and files the test may change too. */
export class OwnSource extends CapturedTable implements AsyncDisposable {
  readonly server: PostgresServer;
  /** Stops the current workers. */
  stopWorkers: () => Promise<void>;

  private constructor(server: PostgresServer, captures: CaptureLab, stopWorkers: () => Promise<void>) {
    super(captures);
    this.server = server;
    this.stopWorkers = stopWorkers;
  }

  static async open(): Promise<OwnSource> {
    const server = await startTestServer();
    await createExtractor(server);
    const servers = { source: server.url('postgres'), warehouse: inject('warehouseAdmin') };
    const lab = await Lab.open({ servers, workers: 'none' });
    const stopWorkers = await lab.startWorkers();
    const captures = await this.make(lab);
    // its worker uses the warehouse, and does not wait for the locks of a test before it has migrated that
    await lab.source.query('CREATE TABLE begun AS SELECT 1 AS id');
    await lab.extract({ table: 'begun' });
    return new OwnSource(server, captures, stopWorkers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
    await this.server.dispose();
  }
}
