import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { difficultTable, madeTypesAs, madeTypesTable } from '../bronze/difficult-values.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { expectEveryTypeKept } from '../values/expect-every-type.ts';

/** Tests for servers of any two versions. */
export function valuesSuite(lab: () => Lab): void {
  test('every type of the source has an outcome, and its values arrive', async () => {
    const outcomes = await expectEveryTypeKept(lab());
    expect(Object.keys(outcomes).length).toBeGreaterThan(200);
  });

  test.each(['binary', 'text'] as const)('difficult values arrive in %s', async (format) => {
    const versions = await Promise.all([lab().source, lab().warehouse].map(versionOf));
    await lab().source.query(difficultTable(`in_${format}`, format, Math.min(...versions)));
    await lab().extract({ table: `in_${format}`, verify: 'checksum' });
    await expectSameRows(lab(), `in_${format}`, `bronze.br_in_${format}`);
  });

  test('types that were made in the source arrive', async () => {
    await lab().source.query(madeTypesTable('made'));
    await lab().extract({ table: 'made', verify: 'checksum' });
    await expectSameRows(lab(), 'made', 'bronze.br_made', { as: madeTypesAs });
  });

  test('JSON is parsed and arrays are expanded', async () => {
    await lab().source.query(`CREATE TABLE documents (id int, payload text, tags text[]);
      INSERT INTO documents VALUES (1, '{"a": 1.10}', '{a,NULL}'), (2, '{', '{}'), (3, 'null', NULL), (4, NULL, '{{x},{y}}')`);
    await lab().extract({
      table: 'documents',
      json: { parse: ['payload'] },
      arrays: { expand: ['tags'] },
      verify: 'checksum',
    });
    const { rows } = await lab().warehouse.query(
      'SELECT payload_parsed::text AS payload, tags_expanded::text AS tags FROM bronze.br_documents ORDER BY id',
    );
    expect(rows).toEqual([
      { payload: '{"a": 1.10}', tags: '["a", null]' },
      { payload: '{"_raw": "{", "_error": "parse_failed"}', tags: '[]' },
      { payload: 'null', tags: null },
      { payload: null, tags: '[["x"], ["y"]]' },
    ]);
  });

  test('many chunks with a condition hold the rows that it asks for', async () => {
    await lab().source.query(
      `CREATE TABLE many AS SELECT i AS id, repeat('x', i % 300) AS filler FROM generate_series(1, 20000) i`,
    );
    const { chunks } = await lab().extract({
      table: 'many',
      where: 'id % 3 = 0',
      chunkSize: '512kB',
      verify: 'checksum',
    });
    expect(chunks).toBeGreaterThan(2);
    await expectSameRows(lab(), 'many', 'bronze.br_many', { where: 'id % 3 = 0' });
  });
}

async function versionOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ version: number }>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  return rows[0]?.version ?? Number.NaN;
}
