import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

const parsed = async (target: string, column: string) => {
  const { rows } = await lab.warehouse.query<{ text: string | null }>(
    `SELECT ${column}::text AS text FROM bronze.${target} ORDER BY id`,
  );
  return rows.map(({ text }) => text);
};

const JSON_TEXTS = [
  '{"b": 1.10, "a": {"deep": [1, null]}}',
  'null',
  ' [ ] ',
  '"text"',
  '12345678901234567890.000100',
  'not json',
  '',
  '{"a": 1',
  String.raw`"\u0000"`,
  '1e999999',
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
];

testVariants(['json_text', 'text', 'character varying', 'json'])(
  '%s is parsed beside itself',
  async (type) => {
    const texts = type === 'json' ? JSON_TEXTS.slice(0, 5).concat(JSON_TEXTS.slice(8, 10)) : JSON_TEXTS;
    await lab.source
      .query(`DROP TABLE IF EXISTS payloads; DROP DOMAIN IF EXISTS json_text; CREATE DOMAIN json_text AS text;
    CREATE TABLE payloads (id int, "The payload" ${type})`);
    for (const [index, text] of [...texts, null].entries()) {
      await lab.source.query('INSERT INTO payloads VALUES ($1, $2)', [index, text]);
    }
    await lab.extract({ table: 'payloads', json: { parse: ['The payload'] }, verify: 'checksum' });
    const failed = (raw: string) => `{"_raw": ${JSON.stringify(raw)}, "_error": "parse_failed"}`;
    const outcomes: Record<string, string> = {
      '{"b": 1.10, "a": {"deep": [1, null]}}': '{"a": {"deep": [1, null]}, "b": 1.10}',
      null: 'null',
      ' [ ] ': '[]',
      '"text"': '"text"',
      '12345678901234567890.000100': '12345678901234567890.000100',
    };
    expect(await parsed('br_payloads', '"The payload_parsed"')).toEqual([
      ...texts.map((text) => outcomes[text] ?? failed(text)),
      null,
    ]);
    await expectSameRows(lab, 'payloads', 'bronze.br_payloads');
  },
);

test('a parsed column is an ordinary one afterwards, in the next run too', async () => {
  await lab.source.query(`CREATE TABLE again (id int, payload text); INSERT INTO again VALUES (1, '{}')`);
  await lab.extract({ table: 'again', json: { parse: ['payload'] } });
  await lab.source.query(`INSERT INTO again VALUES (2, '[]')`);
  await lab.extract({ table: 'again', json: { parse: ['payload'] } });
  const { rows } = await lab.warehouse.query(
    `SELECT attgenerated, attrelid::regclass::text AS table FROM pg_attribute
      WHERE attname = 'payload_parsed' AND attgenerated <> ''`,
  );
  expect(rows).toEqual([]);
  expect(await parsed('br_again', 'payload_parsed')).toEqual(['{}', '[]']);
});

test('arrays are expanded beside themselves', async () => {
  await lab.source.query(`CREATE TYPE colour AS ENUM ('red', 'green'); CREATE DOMAIN numbers AS int[];
    CREATE TYPE spot AS (x int, c colour);
    CREATE TABLE arrays (id int, numbers numbers, texts text[], colours colour[], spots spot[], times timestamptz[]);
    INSERT INTO arrays VALUES
      (1, '{{1,2},{3,NULL}}', ARRAY['a,b', NULL, '', '"'], '{red,NULL}', ARRAY[ROW(1, 'red'), NULL]::spot[],
       '{2024-03-31 02:30+01,infinity}'),
      (2, '{}', '{}', '{}', '{}', '{}'),
      (3, NULL, NULL, NULL, NULL, NULL),
      (4, '[5:6]={7,8}', '{{{x}}}', '{{green}}', NULL, NULL)`);
  const expand = ['numbers', 'texts', 'colours', 'spots', 'times'];
  await lab.extract({ table: 'arrays', arrays: { expand }, verify: 'checksum' });
  const expanded = await Promise.all(expand.map(async (name) => parsed('br_arrays', `${name}_expanded`)));
  expect(Object.fromEntries(expand.map((name, index) => [name, expanded[index]]))).toEqual({
    numbers: ['[[1, 2], [3, null]]', '[]', null, '[7, 8]'],
    texts: ['["a,b", null, "", "\\""]', '[]', null, '[[["x"]]]'],
    colours: ['["red", null]', '[]', null, '[["green"]]'],
    spots: ['[{"c": "red", "x": 1}, null]', '[]', null, null],
    times: ['["2024-03-31T01:30:00+00:00", "infinity"]', '[]', null, null],
  });
  await expectSameRows(lab, 'arrays', 'bronze.br_arrays', { as: { spots: 'to_jsonb(spots)' } });
});

test.each([
  [{ json: { parse: ['id'] } }, '"json.parse" names "id", which is integer: expected text or json'],
  [{ json: { parse: ['paylod'] } }, 'which is not among the columns to extract (did you mean "payload"?)'],
  [{ json: { parse: ['payload'] }, exclude: ['payload'] }, 'which is not among the columns to extract'],
  [{ arrays: { expand: ['payload'] } }, '"arrays.expand" names "payload", which is text: expected an array'],
  [{ json: { parse: ['payload', 'payload'] } }, 'a column "payload_parsed", and there is one already'],
  [{ json: { parse: ['n'.repeat(60)] } }, 'a name has at most 63 bytes'],
  [{ largeObjects: ['payload'] }, '"largeObjects" names "payload", which is text: expected oid'],
])('%j is refused', async (request, message) => {
  await lab.source.query(`CREATE TABLE IF NOT EXISTS plain (id int, payload text, "${'n'.repeat(60)}" text)`);
  await expectFailure(lab.extract({ table: 'plain', ...request }), 'InvalidInput', message);
});
