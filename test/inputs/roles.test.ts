import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';
import { prepareOrders, refusal } from './refusal.ts';

let lab: Lab;
let reader: string;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  await withWorkers({}, async () => prepareOrders(lab));
  reader = `reader_${lab.name}`;
  await lab.source.query(`CREATE ROLE ${reader} LOGIN PASSWORD 'extractor-secret';
    CREATE SCHEMA closed; CREATE TABLE closed.orders (id int); GRANT SELECT ON closed.orders TO ${reader};
    CREATE TABLE secrets (id int, code text); GRANT SELECT (id) ON secrets TO ${reader};
    CREATE TABLE open (id int); GRANT SELECT ON open TO ${reader};
    CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
    GRANT SELECT ON parted TO ${reader};
    CREATE FUNCTION locked(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; REVOKE EXECUTE ON FUNCTION locked FROM public`);
});
afterAll(async () => lab.close());

async function withWorkers<T>(
  urls: { source?: string; warehouse?: string },
  work: () => Promise<T>,
): Promise<T> {
  const stop = await lab.startWorkers(urls);
  try {
    return await work();
  } finally {
    await stop();
  }
}

function changed(url: string, changes: { username?: string; password?: string; pathname?: string }): string {
  return Object.assign(new URL(url), changes).href;
}

describe('a role that may not read', () => {
  let stop: () => Promise<void>;
  beforeAll(async () => {
    stop = await lab.startWorkers({ source: changed(lab.sourceUrl, { username: reader }) });
  });
  afterAll(async () => stop());

  test.each<[string, { table: string; where?: string }, string]>([
    [
      'the table',
      { table: 'orders' },
      'The role may not read public.orders (SELECT is missing on "id", "status", "total"',
    ],
    [
      'one of the columns',
      { table: 'secrets' },
      'The role may not read public.secrets (SELECT is missing on "code"). Ask somebody who may to run: GRANT SELECT ("code") ON "public"."secrets" TO "reader_',
    ],
    [
      'the schema',
      { table: 'closed.orders' },
      'The role may not use the schema of closed.orders (USAGE is missing). Ask somebody who may to run: GRANT USAGE ON SCHEMA "closed" TO "reader_',
    ],
    [
      'a partition, which is read by its own name',
      { table: 'parted' },
      'permission denied for table parted_rest',
    ],
    [
      'what "where" asks',
      { table: 'open', where: 'id IN (SELECT id FROM orders)' },
      'permission denied for table orders',
    ],
    ['what "where" calls', { table: 'open', where: 'locked(id)' }, 'permission denied for function locked'],
    [
      'the schema of what "where" asks',
      { table: 'open', where: 'EXISTS (SELECT FROM closed.orders)' },
      'permission denied for schema closed',
    ],
  ])('%s', async (_name, input, words) => {
    const message = await refusal(lab, input, 'InsufficientPrivilege');
    expect(message).toContain(words);
    expect(message).toContain('Grant the role that the worker connects as what it lacks');
  });

  test('may be granted some columns of a large table, which is cut if ctid is one of them', async () => {
    await lab.source.query(`CREATE TABLE wide (id int, code text);
      INSERT INTO wide SELECT i, repeat('x', 500) FROM generate_series(1, 3000) i; GRANT SELECT (id) ON wide TO ${reader}`);
    const input = { table: 'wide', columns: ['id'], chunkSize: '64kB' };
    expect(await lab.extract(input)).toMatchObject({ rows: 3000, chunks: 1 });
    await expectSameRows(lab, 'wide', 'bronze.br_wide', { columns: ['id'] });
    await lab.source.query(`GRANT SELECT (ctid) ON wide TO ${reader}`);
    const { chunks } = await lab.extract(input);
    expect(chunks).toBeGreaterThan(1);
    await expectSameRows(lab, 'wide', 'bronze.br_wide', { columns: ['id'] });
  });

  test('but may read what it is asked for', async () => {
    expect(await lab.extract({ table: 'secrets', columns: ['id'] })).toMatchObject({ rows: 0 });
  });
});

test('a role that may not use the bronze schema', async () => {
  const bare = `bare_${lab.name}`;
  await lab.warehouse.query(`CREATE ROLE ${bare} LOGIN PASSWORD 'loader-secret'`);
  await withWorkers({ warehouse: changed(lab.warehouseUrl, { username: bare }) }, async () => {
    const message = await refusal(lab, { table: 'orders' }, 'InsufficientPrivilege');
    expect(message).toContain('warehouse: permission denied');
  });
});

describe('a connection that is refused', () => {
  testVariants(['source', 'warehouse'])('by a wrong password of the %s', async (side) => {
    const url = changed(side === 'source' ? lab.sourceUrl : lab.warehouseUrl, { password: 'wrong-secret' });
    await withWorkers({ [side]: url }, async () => {
      const message = await refusal(lab, { table: 'orders' }, 'AuthenticationFailed');
      expect(message).toContain(side);
      expect(message).toContain('password authentication failed for user');
      expect(message).toContain('Check user and password in the connection URL of the worker');
    });
  });

  test('by an unknown role', async () => {
    await withWorkers({ source: changed(lab.sourceUrl, { username: 'nobody' }) }, async () => {
      expect(await refusal(lab, { table: 'orders' }, 'AuthenticationFailed')).toContain('"nobody"');
    });
  });

  testVariants(['source', 'warehouse'])('by an unknown database of the %s', async (side) => {
    const url = changed(side === 'source' ? lab.sourceUrl : lab.warehouseUrl, { pathname: '/nowhere' });
    await withWorkers({ [side]: url }, async () => {
      const message = await refusal(lab, { table: 'orders' }, 'UndefinedDatabase');
      expect(message).toContain('database "nowhere" does not exist');
      expect(message).toContain('Check the database in the connection URL of the worker');
    });
  });
});
