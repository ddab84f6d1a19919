import { expect, inject } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import type { CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { createExtractor } from '../setup/roles.ts';
import { startTestServer } from '../setup/test-server.ts';

/** Captures of a table `t` on a separate server, whose settings, files and slots the test may change. */
export class OwnSource implements AsyncDisposable {
  readonly server: PostgresServer;
  readonly lab: Lab;
  readonly captures: CaptureLab;
  /** Stops the current workers. */
  stopWorkers: () => Promise<void>;
  #rows = 0;

  private constructor(server: PostgresServer, captures: CaptureLab, stopWorkers: () => Promise<void>) {
    this.server = server;
    this.lab = captures.lab;
    this.captures = captures;
    this.stopWorkers = stopWorkers;
  }

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<OwnSource> {
    const server = await startTestServer({ settings });
    await createExtractor(server);
    const servers = { source: server.url('postgres'), warehouse: inject('warehouseAdmin') };
    const lab = await Lab.open({ servers, workers: 'none' });
    const stopWorkers = await lab.startWorkers();
    const captures = await CaptureLab.open(lab);
    await lab.source.query('CREATE TABLE t (id int PRIMARY KEY)');
    return new OwnSource(server, captures, stopWorkers);
  }

  async asAdmin(statement: string): Promise<void> {
    await this.lab.source.query('RESET ROLE');
    await this.lab.source.query(statement);
    await this.lab.source.query('SET ROLE extractor');
  }

  nextRow(): number {
    this.#rows += 1;
    return this.#rows;
  }

  async insert(): Promise<void> {
    await this.lab.source.query(`INSERT INTO t VALUES (${this.nextRow()})`);
  }

  /** Runs a capture that streams a change and ends, and returns its slot. */
  async captured(more: Partial<CaptureChangesRequest> = {}): Promise<string> {
    const slot = this.captures.slotName();
    await this.catchUp(slot, more);
    await this.insert();
    await this.catchUp(slot, more);
    return slot;
  }

  async catchUp(slot: string, more: Partial<CaptureChangesRequest> = {}): ReturnType<CaptureLab['catchUp']> {
    return this.captures.catchUp({ tables: ['t'], slot, mirror: true, ...more });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
    await this.server.dispose();
  }
}

export async function expectRefused(
  own: OwnSource,
  slot: string,
  refusal: { readonly kind: FailureKind; readonly text: RegExp },
  more: Partial<CaptureChangesRequest> = {},
): Promise<void> {
  await expect(own.catchUp(slot, more)).rejects.toMatchObject({
    cause: { type: refusal.kind, message: expect.stringMatching(refusal.text) as string },
  });
}
