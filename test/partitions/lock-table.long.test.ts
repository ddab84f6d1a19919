import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { createExtractor } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { startTestServer } from '../setup/test-server.ts';

/** With their indexes they would take 1,200 locks. */
const PARTITIONS = 300;
/** So many can be locked by one statement. */
const AT_ONCE = 50;
/** Leaves room for about 800 locks. */
const settings = {
  max_locks_per_transaction: '10',
  max_connections: '20',
  max_worker_processes: '0',
  max_wal_senders: '2',
  shared_buffers: '16MB',
};

let server: PostgresServer;
let lab: Lab;
beforeAll(async () => {
  server = await startTestServer({ settings });
  await createExtractor(server);
  lab = await Lab.open({ servers: { source: server.url('postgres'), warehouse: inject('warehouseAdmin') } });
  await lab.source.query(
    `CREATE TABLE many (id bigint GENERATED ALWAYS AS IDENTITY, n int, at timestamptz, PRIMARY KEY (id, n))
       PARTITION BY RANGE (n); CREATE INDEX ON many (at); CREATE INDEX ON many (n);
     CREATE TABLE same (id bigint, n int, at timestamptz)`,
  );
  await forEach((n) => `CREATE TABLE many_${n} PARTITION OF many FOR VALUES FROM (${n}) TO (${n + 1})`);
  await insertEverywhere('now()');
});
afterAll(async () => {
  await lab.close();
  await server.dispose();
});

/** Runs a statement for each partition. The last one is neither the first nor the last by its name. */
async function forEach(statement: (n: number) => string): Promise<void> {
  for (let first = 0; first < PARTITIONS; first += AT_ONCE) {
    const some = Array.from({ length: AT_ONCE }, (_, index) => (first + index + 142) % PARTITIONS);
    await lab.source.query(some.map(statement).join(';'));
  }
}

/** Inserts a row into each partition, and into a table that can be read with a few locks. */
const insertEverywhere = async (at: string) =>
  forEach(
    (n) => `WITH row AS (INSERT INTO many (n, at) VALUES (${n}, ${at}) RETURNING id, n, at)
            INSERT INTO same SELECT * FROM row`,
  );

test(
  'an increment of more partitions than the lock table of the source has room for looks at all of them',
  { tags: 'long' },
  async () => {
    const request = { table: 'many', parallelism: 1, incremental: { column: 'id' } } as const;
    await extractIncrement(lab, request);
    await insertEverywhere('now()');
    const { incremental } = await extractIncrement(lab, request);
    expect(incremental).toMatchObject({
      protection: 'oldest transaction',
      previousCheckpoint: String(PARTITIONS),
      checkpoint: String(2 * PARTITIONS),
    });
    await expectSameRows(lab, 'same', 'bronze.br_many');
  },
);

test('rows without a cursor are counted in all of them', { tags: 'long' }, async () => {
  const request = {
    table: 'many',
    target: 'by_time',
    parallelism: 1,
    incremental: { column: 'at' },
  } as const;
  await extractIncrement(lab, request);
  await insertEverywhere('NULL');
  const { incremental } = await extractIncrement(lab, request);
  expect(incremental.nullCursors).toBe(PARTITIONS);
  await expectSameRows(lab, 'same', 'bronze.by_time', { where: 'at IS NOT NULL' });
});
