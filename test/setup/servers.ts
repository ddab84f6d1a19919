import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import { startTemporal } from '../../local/temporal.ts';
import { workflowsPath } from '../../src/runtime/create-workers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    sourceAdmin: string;
    warehouseAdmin: string;
    temporalAddress: string;
    temporalCli: string;
    workflowBundle: string;
  }
}

/** Starts what all test files share: a source, a warehouse, a Temporal server and the bundle of the workflows. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-bundle-'));
  const [source, warehouse, temporal] = await Promise.all([
    startPostgres({ settings: { fsync: 'off' } }),
    startPostgres({ settings: { fsync: 'off' } }),
    startTemporal(),
    bundle(join(directory, 'workflows.js')),
  ]);
  await createRoles(source, warehouse);
  project.provide('sourceAdmin', source.url('postgres'));
  project.provide('warehouseAdmin', warehouse.url('postgres'));
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalCli', temporal.cli);
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

/** Only set-up is done by the superuser: what is tested runs with the roles that the documentation asks for. */
async function createRoles(source: PostgresServer, warehouse: PostgresServer): Promise<void> {
  await run(source.url('postgres'), `CREATE ROLE extractor LOGIN PASSWORD 'extractor-secret'; GRANT pg_read_all_data TO extractor`);
  await run(warehouse.url('postgres'), `CREATE ROLE loader LOGIN PASSWORD 'loader-secret'; GRANT pg_read_all_stats TO loader`);
}

async function run(url: string, sql: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
