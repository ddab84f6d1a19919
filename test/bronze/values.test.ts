import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { difficultTable, madeTypesAs, madeTypesTable } from './difficult-values.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

async function typesOf(side: 'source' | 'warehouse', table: string): Promise<Record<string, string>> {
  const { rows } = await lab[side].query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\\_bronze\\_%'`,
    [table],
  );
  return Object.fromEntries(rows.map(({ name, type }) => [name, type]));
}

async function formatOf(target: string): Promise<unknown> {
  const { rows } = await lab.warehouse.query('SELECT format FROM bronze.extraction_runs WHERE target = $1', [
    target,
  ]);
  return rows[0];
}

test('every built-in type keeps its name and every difficult value, in binary', async () => {
  await lab.source.query(difficultTable('difficult', 'binary'));
  await lab.extract({ table: 'difficult' });
  expect(await formatOf('br_difficult')).toEqual({ format: 'binary' });
  expect(await typesOf('warehouse', 'bronze.br_difficult')).toEqual(await typesOf('source', 'difficult'));
  await expectSameRows(lab, 'difficult', 'bronze.br_difficult');
});

test('and in text, which a type of an extension asks for', async () => {
  for (const side of [lab.source, lab.warehouse])
    await side.query('CREATE EXTENSION hstore; CREATE EXTENSION citext');
  await lab.source.query(difficultTable('difficult_text', 'text'));
  await lab.source.query(`ALTER TABLE difficult_text ADD h hstore, ADD hs hstore[], ADD ci citext;
    UPDATE difficult_text SET h = 'a=>NULL, "b,c"=>"\\\\N", ""=>""', hs = '{"a=>1",NULL}', ci = E'Ab\\tC\\\\';
    INSERT INTO difficult_text (h, ci) VALUES ('', ''), (NULL, NULL)`);
  await lab.extract({ table: 'difficult_text' });
  expect(await formatOf('br_difficult_text')).toEqual({ format: 'text' });
  expect(await typesOf('warehouse', 'bronze.br_difficult_text')).toEqual(
    await typesOf('source', 'difficult_text'),
  );
  await expectSameRows(lab, 'difficult_text', 'bronze.br_difficult_text');
});

test('a type of an extension that the warehouse lacks becomes text', async () => {
  await lab.source.query(`CREATE EXTENSION ltree; CREATE TABLE trees (id int, path ltree, paths ltree[]);
    INSERT INTO trees VALUES (1, 'Top.Science', '{a.b,NULL}'), (2, '', '{}'), (3, NULL, NULL)`);
  await lab.extract({ table: 'trees' });
  expect(await typesOf('warehouse', 'bronze.br_trees')).toEqual({
    id: 'integer',
    path: 'text',
    paths: 'text[]',
  });
  await expectSameRows(lab, 'trees', 'bronze.br_trees');
});

test('enums become text, domains their base type, composites jsonb, alone and in arrays', async () => {
  await lab.source.query(madeTypesTable('made'));
  await lab.extract({ table: 'made' });
  expect(await typesOf('warehouse', 'bronze.br_made')).toEqual({
    m: 'text', ms: 'text[]', p: 'numeric(12,4)', n: 'numeric(12,4)', ns: 'numeric(12,4)[]', y: 'text', i: 'integer[]',
    c: 'jsonb', cs: 'jsonb', f: 'text', r: 'text',
  }); // prettier-ignore
  await expectSameRows(lab, 'made', 'bronze.br_made', { as: madeTypesAs });
});
