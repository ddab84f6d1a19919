import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { hasVersion } from '../../local/postgres-binaries.ts';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import { Lab } from '../setup/lab.ts';
import { createExtractor, createLoader } from '../setup/roles.ts';
import { valuesSuite } from './values-suite.ts';

/** The newest is what all other tests run on, on both sides. */
const OLDER = [14, 15, 16, 17];
const OLDEST = 14;

const labOf = (side: 'source' | 'warehouse', version: number) => {
  let server: PostgresServer;
  let lab: Lab;
  beforeAll(async () => {
    server = await startPostgres({ version, settings: { fsync: 'off' } });
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

describe.each(OLDER)('from PostgreSQL %i to the newest', (version) => {
  describe.runIf(hasVersion(version))('installed', () => {
    valuesSuite(labOf('source', version));
  });
});

describe.runIf(hasVersion(OLDEST))(`from the newest to PostgreSQL ${OLDEST}`, () => {
  const lab = labOf('warehouse', OLDEST);
  valuesSuite(lab);

  test('modifiers that it lacks are left out', async () => {
    await lab().source.query(
      `CREATE TABLE scales (a numeric(3,-2), b numeric(2,4)); INSERT INTO scales VALUES (99900, 0.0012)`,
    );
    await lab().extract({ table: 'scales', verify: 'checksum' });
    const { rows } = await lab().warehouse.query('SELECT a::text, b::text FROM bronze.br_scales');
    expect(rows).toEqual([{ a: '99900', b: '0.0012' }]);
  });

  test('an interval that it lacks is refused and not changed', async () => {
    await lab().source.query(
      `CREATE TABLE infinite (span interval); INSERT INTO infinite VALUES ('infinity')`,
    );
    await expect(lab().extract({ table: 'infinite' })).rejects.toMatchObject({
      cause: { type: 'InvalidValue', message: expect.stringContaining('in column "span"') as string },
    });
  });
});

test.runIf(process.env['CI'] !== undefined)('every older version is installed where it must be', () => {
  expect(OLDER.filter((version) => !hasVersion(version))).toEqual([]);
});
