import { open as openFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { inject } from 'vitest';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import type { TemporalServer } from '../../local/temporal.ts';
import { bundlerOptions, workflowsPath } from '../../src/runtime/workflow-code.ts';
import { mountSmallDisk, type SmallDisk } from '../inputs/small-disk.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { startRestartableTemporal } from '../setup/restartable-temporal.ts';
import { createRoles } from '../setup/roles.ts';
import { otherVersionPath, Seat } from './seat.ts';

/** Size of the disk for a database that is to run out of space. */
const DISK = '512m';

export interface StackOptions {
  readonly workers: number;
  /** Also bundles another version of the workflows. */
  readonly versions?: boolean;
  /** Puts the warehouse's tables on a disk of their own. */
  readonly smallDisk?: boolean;
}

/** Servers of its own, all of which may be killed, and separate worker processes behind proxies. */
export class FaultStack implements AsyncDisposable {
  readonly source: PostgresServer;
  readonly warehouse: PostgresServer;
  readonly temporal: TemporalServer;
  readonly lab: Lab;
  readonly captures: CaptureLab;
  /** Undefined if this process may not mount. */
  readonly disk: SmallDisk | undefined;
  readonly otherVersion: string | undefined;
  #seats: readonly Seat[] = [];

  private constructor(
    made: Pick<
      FaultStack,
      'source' | 'warehouse' | 'temporal' | 'lab' | 'captures' | 'disk' | 'otherVersion'
    >,
  ) {
    this.source = made.source;
    this.warehouse = made.warehouse;
    this.temporal = made.temporal;
    this.lab = made.lab;
    this.captures = made.captures;
    this.disk = made.disk;
    this.otherVersion = made.otherVersion;
  }

  static async open({ workers, versions = false, smallDisk = false }: StackOptions): Promise<FaultStack> {
    // only processes crash here, and a crashed process loses nothing that it has passed to the system
    const settings = { fsync: 'off' };
    const [source, warehouse, temporal, otherVersion] = await Promise.all([
      startPostgres({ settings }),
      startPostgres({ settings }),
      startRestartableTemporal(),
      versions ? buildOtherVersion() : undefined,
    ]);
    await createRoles(source, warehouse);
    const servers = { source: source.url('postgres'), warehouse: warehouse.url('postgres') };
    const lab = await Lab.open({ servers, temporalAddress: temporal.address, workers: 'none' });
    const disk = smallDisk ? await moveTo(lab) : undefined;
    const captures = await CaptureLab.open(lab);
    await lab.source.query('RESET ROLE');
    const stack = new FaultStack({ source, warehouse, temporal, lab, captures, disk, otherVersion });
    stack.#seats = await Promise.all(
      Array.from({ length: workers }, async () => Seat.open(lab, stack.version)),
    );
    return stack;
  }

  get seats(): readonly Seat[] {
    return this.#seats;
  }

  /** Entry module of the current worker. */
  get version(): string {
    return inject('worker');
  }

  /** Fills the disk of the warehouse's tables; the returned function frees the space. */
  async fillDisk(): Promise<() => Promise<void>> {
    if (this.disk === undefined) throw new Error('the warehouse has no disk of its own');
    const ballast = join(this.disk.directory, 'ballast');
    const file = await openFile(ballast, 'w');
    const block = Buffer.alloc(1024 * 1024);
    try {
      for (;;) await file.write(block);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      await file.close();
    }
    return async () => rm(ballast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#seats.map(async (seat) => seat[Symbol.asyncDispose]()));
    await this.lab.close();
    await Promise.all([this.source.dispose(), this.warehouse.dispose(), this.temporal.dispose()]);
    await this.disk?.[Symbol.asyncDispose]();
  }
}

async function moveTo(lab: Lab): Promise<SmallDisk | undefined> {
  const disk = await mountSmallDisk(lab.warehouse, DISK);
  if (typeof disk === 'string') return undefined;
  const space = `small_${lab.name}`;
  await lab.warehouse.query(`CREATE TABLESPACE ${space} LOCATION '${disk.directory}'`);
  await lab.warehouse.query(`GRANT CREATE ON TABLESPACE ${space} TO loader`);
  await lab.warehouse.query(`ALTER DATABASE warehouse_${lab.name} SET default_tablespace = ${space}`);
  return disk;
}

/** Builds the same worker with other workflows, next to the build it is based on. */
async function buildOtherVersion(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    ...bundlerOptions,
    workflowInterceptorModules: [otherVersionPath],
    logger: new DefaultLogger('WARN'),
  });
  const directory = dirname(inject('worker'));
  const codePath = join(directory, 'workflows-of-other-version.js');
  const entry = join(directory, 'worker-of-other-version.js');
  await writeFile(codePath, code);
  await writeFile(
    entry,
    `import { runWorker } from './runtime/run-worker.js';
     await runWorker(process.env, { workflowBundle: { codePath: ${JSON.stringify(codePath)} } });`,
  );
  return entry;
}
