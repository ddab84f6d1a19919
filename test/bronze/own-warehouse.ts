import { inject } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { administer } from '../setup/administer.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { createLoader } from '../setup/roles.ts';
import { startTestServer } from '../setup/test-server.ts';
import { waitUntil } from '../setup/wait-until.ts';

/** A lab whose warehouse is a separate server, which may have standbys to wait for. */
export class OwnWarehouse implements AsyncDisposable {
  readonly server: PostgresServer;
  readonly lab: Lab;
  readonly captures: CaptureLab;

  private constructor(server: PostgresServer, captures: CaptureLab) {
    this.server = server;
    this.lab = captures.lab;
    this.captures = captures;
  }

  static async open(): Promise<OwnWarehouse> {
    const server = await startTestServer();
    await createLoader(server);
    const servers = { source: inject('sourceAdmin'), warehouse: server.url('postgres') };
    return new OwnWarehouse(server, await CaptureLab.open(await Lab.open({ servers })));
  }

  /** @param names of the standbys that every commit waits for; none if empty */
  async awaitStandbys(names: string): Promise<void> {
    await administer(this.server.url('postgres'), [
      `ALTER SYSTEM SET synchronous_standby_names = '${names}'`,
      'SELECT pg_reload_conf()',
    ]);
  }

  /** Returns the sessions whose commits wait for standbys. */
  async waiting(): Promise<number[]> {
    const { rows } = await this.lab.warehouse.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'`,
    );
    return rows.map(({ pid }) => pid);
  }

  async untilOneWaits(): Promise<void> {
    await waitUntil(async () => (await this.waiting()).length > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.awaitStandbys('');
    await this.lab.close();
    await this.server.dispose();
  }
}
