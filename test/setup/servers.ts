import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { escapeLiteral } from 'pg';
import type { TestProject } from 'vitest/node';
import type { PostgresServer } from '../../local/postgres.ts';
import { startTemporal } from '../../local/temporal.ts';
import { administer } from './administer.ts';
import { build } from './built.ts';
import { createRoles } from './roles.ts';
import { startTestServer } from './test-server.ts';
import { createWarehouseTemplate } from './warehouse-template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    sourceAdmin: string;
    warehouseAdmin: string;
    temporalAddress: string;
    temporalCli: string;
    /** Files of the build: the worker's, and its workflows with and without encryption. */
    worker: string;
    workflowBundle: string;
    encryptedBundle: string;
    /** The log file of all tests, including errors, which is searched for secrets. */
    told: string;
  }
}

/** One partition per task queue: there are many, and with little on each, more partitions just poll each other. */
const onePartition = {
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
};

/** Makes passwords cheap to check: nobody has to guess them here. */
const settings = { scram_iterations: '1' };

/** Starts what all test files share: a source, a warehouse, a Temporal server and a build. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // less frequent garbage collection over thousands of runs, and no second thread looking for work
  process.env['GOGC'] ??= '400';
  process.env['GOMAXPROCS'] ??= '1';
  const directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-told-'));
  // at once: others remove directories left empty for a minute, and starting servers can take that long
  await writeFile(join(directory, 'told.log'), '');
  const [source, warehouse, temporal, built] = await Promise.all([
    startTestServer({ settings }),
    startTestServer({ settings }),
    startTemporal({ dynamicConfig: onePartition }),
    build(),
  ]);
  await Promise.all([source, warehouse].map(setPasswordAgain));
  await createRoles(source, warehouse);
  await createWarehouseTemplate(warehouse);
  project.provide('sourceAdmin', source.url('postgres'));
  project.provide('warehouseAdmin', warehouse.url('postgres'));
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalCli', temporal.cli);
  project.provide('told', join(directory, 'told.log'));
  project.provide('worker', built.worker);
  project.provide('workflowBundle', built.bundle);
  project.provide('encryptedBundle', built.encryptedBundle);
  return async () => {
    await Promise.all([source.dispose(), warehouse.dispose(), temporal.dispose()]);
    await rm(directory, { recursive: true });
  };
}

/** Sets the superuser's password again, because it was stored before the settings applied. */
async function setPasswordAgain(server: PostgresServer): Promise<void> {
  const url = server.url('postgres');
  await administer(url, [`ALTER ROLE CURRENT_USER PASSWORD ${escapeLiteral(new URL(url).password)}`]);
}
