import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../local/postgres.ts';
import { startTemporal } from '../../local/temporal.ts';
import { workflowsPath } from '../../src/runtime/create-workers.ts';
import { createRoles } from './roles.ts';

declare module 'vitest' {
  interface ProvidedContext {
    sourceAdmin: string;
    warehouseAdmin: string;
    temporalAddress: string;
    temporalCli: string;
    workflowBundle: string;
    /** The file that logs and errors of all tests go to, to be searched for secrets. */
    told: string;
  }
}

/** Of each of the many task queues: with little on them, more only ask one another. */
const onePartition = {
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
};

/** Starts what all test files share: a source, a warehouse, a Temporal server and the bundle of the workflows. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-bundle-'));
  const [source, warehouse, temporal] = await Promise.all([
    startPostgres({ settings: { fsync: 'off' } }),
    startPostgres({ settings: { fsync: 'off' } }),
    startTemporal({ dynamicConfig: onePartition }),
    bundle(join(directory, 'workflows.js')),
  ]);
  await createRoles(source, warehouse);
  project.provide('sourceAdmin', source.url('postgres'));
  project.provide('warehouseAdmin', warehouse.url('postgres'));
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalCli', temporal.cli);
  await writeFile(join(directory, 'told.log'), '');
  project.provide('told', join(directory, 'told.log'));
  project.provide('workflowBundle', join(directory, 'workflows.js'));
  return async () => {
    await Promise.all([source.dispose(), warehouse.dispose(), temporal.dispose()]);
    await rm(directory, { recursive: true });
  };
}

async function bundle(path: string): Promise<void> {
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
  await writeFile(path, code);
}
