import { afterAll, beforeAll, inject } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { Lab } from '../setup/lab.ts';
import { createExtractor, createLoader } from '../setup/roles.ts';
import { startTestServer } from '../setup/test-server.ts';

/** A lab whose source or warehouse is a server of another version than in all other tests. */
export const labOf = (side: 'source' | 'warehouse', version: number) => {
  let server: PostgresServer;
  let lab: Lab;
  beforeAll(async () => {
    server = await startTestServer({ version });
    await (side === 'source' ? createExtractor(server) : createLoader(server));
    const shared = { source: inject('sourceAdmin'), warehouse: inject('warehouseAdmin') };
    lab = await Lab.open({ servers: { ...shared, [side]: server.url('postgres') } });
  });
  afterAll(async () => {
    await lab.close();
    await server.dispose();
  });
  return () => lab;
};
