import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectEveryTypeKept } from './expect-every-type.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('every type in pg_type has an outcome, and its values arrive', async () => {
  const outcomes = await expectEveryTypeKept(lab);
  expect(outcomes).toMatchObject({
    integer: 'kept: integer',
    'numeric[]': 'kept: numeric[]',
    bit: 'kept: "bit"',
    '"char"': 'kept: "char"',
    money: 'kept: money',
    tsvector: 'kept: tsvector',
    int4multirange: 'kept: int4multirange',
    'information_schema.sql_identifier': 'base type: name',
    'information_schema.yes_or_no': 'base type: character varying(3)',
    pg_class: 'jsonb: jsonb',
    regclass: 'text: text',
    'regclass[]': 'text: text[]',
    aclitem: 'text: text',
    pg_node_tree: 'text: text',
    gtsvector: 'text: text',
  });
});

test(
  'and so has every type of the extensions that come with PostgreSQL, where the warehouse has them not',
  { tags: 'long' },
  async () => {
    await createExtensions(lab.source, 'public');
    const outcomes = await expectEveryTypeKept(lab);
    expect(outcomes).toMatchObject({
      hstore: 'text: text',
      'hstore[]': 'text: text[]',
      cube: 'text: text',
      lo: 'base type: oid',
    });
  },
);

test('and where it has them, in another schema', { tags: 'long' }, async () => {
  await lab.warehouse.query('CREATE SCHEMA "Ex tensions"; GRANT USAGE ON SCHEMA "Ex tensions" TO loader');
  await createExtensions(lab.warehouse, '"Ex tensions"');
  const outcomes = await expectEveryTypeKept(lab);
  expect(outcomes).toMatchObject({
    hstore: 'kept: "Ex tensions".hstore',
    'hstore[]': 'kept: "Ex tensions".hstore[]',
    earth: 'base type: "Ex tensions".cube',
    isbn: 'kept: "Ex tensions".isbn',
  });
});

const EXTENSIONS = [
  'hstore',
  'citext',
  'ltree',
  'cube',
  'earthdistance',
  'isn',
  'seg',
  'lo',
  'intarray',
  'pg_trgm',
  'btree_gist',
];

async function createExtensions(client: Client, schema: string): Promise<void> {
  for (const extension of EXTENSIONS) await client.query(`CREATE EXTENSION "${extension}" SCHEMA ${schema}`);
}
