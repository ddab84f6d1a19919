import { afterAll, beforeAll, inject } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { Lab } from '../setup/lab.ts';
import { createExtractor, createLoader } from '../setup/roles.ts';
import { startTestServer } from '../setup/test-server.ts';

type Side = 'source' | 'warehouse';

/** A lab whose source, warehouse or both are on a server of another version than in all other tests. */
export const labOf = (sides: Side | readonly Side[], version: number) => {
  const older = [sides].flat();
  let server: PostgresServer;
  let lab: Lab;
  beforeAll(async () => {
    server = await startTestServer({ version });
    if (older.includes('source')) await createExtractor(server);
    if (older.includes('warehouse')) await createLoader(server);
    const urlOf = (side: Side) =>
      older.includes(side) ? server.url('postgres') : inject(`${side}Admin` as const);
    lab = await Lab.open({ servers: { source: urlOf('source'), warehouse: urlOf('warehouse') } });
  });
  afterAll(async () => {
    await lab.close();
    await server.dispose();
  });
  return () => lab;
};
