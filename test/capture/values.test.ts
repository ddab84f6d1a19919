import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { finishCopy } from '../../src/capture/copy-tables.ts';
import type { Ask } from '../../src/extraction/ask.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { difficultTable, madeTypesTable } from '../bronze/difficult-values.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { makeTableOfEveryType } from '../values/every-type.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
});
afterAll(async () => lab.close());

interface Column {
  readonly name: string;
  readonly type: string;
}

async function columnsOf(table: string): Promise<Column[]> {
  const { rows } = await lab.source.query<Column>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  return rows;
}

/** Builds a table from the values in the change log, each converted to the type of its column. */
async function readLog(slot: string, table: string, columns: readonly Column[]): Promise<void> {
  const values = columns.map(({ name, type }) => `(data ->> '${name}')::${type} AS "${name}"`);
  await lab.warehouse.query(`CREATE TABLE logged_${table} AS SELECT ${values.join(', ')}
    FROM bronze.cdc_changes WHERE slot = '${slot}' AND "table" = '${table}' AND operation = 'INSERT'`);
}

test('every value comes through the log and into the copy as the source has it', async () => {
  await lab.source.query(difficultTable('difficult_rows', 'text'));
  await lab.source.query(madeTypesTable('made_rows'));
  await makeTableOfEveryType(lab.source, 'every_rows');
  const tables = ['difficult', 'made', 'every'];
  for (const table of tables) {
    await lab.source.query(`CREATE TABLE ${table} (LIKE ${table}_rows);
      ALTER TABLE ${table} ADD COLUMN number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY`);
  }
  const slot = captures.slotName();
  const request = { tables, slot, mirror: true };
  await captures.catchUp(request);
  for (const table of tables) {
    const names = (await columnsOf(`${table}_rows`)).map(({ name }) => `"${name}"`).join(', ');
    await lab.source.query(`INSERT INTO ${table} (${names}) SELECT ${names} FROM ${table}_rows`);
  }
  await captures.catchUp(request);
  await expectSameRows(lab, 'difficult', 'bronze.br_difficult');
  const made = await columnsOf('made');
  const asText = made.map(({ name }) => [name, `"${name}"::text`]);
  await expectSameRows(lab, 'made', 'bronze.br_made', {
    as: Object.fromEntries(asText.filter(([name]) => ['c', 'cs'].includes(name ?? ''))) as Record<
      string,
      string
    >,
  });
  const every = (await columnsOf('every')).filter(({ type }) => !type.startsWith('reg'));
  await expectSameRows(lab, 'every', 'bronze.br_every', { columns: every.map(({ name }) => name) });

  // jsonb keeps neither the whitespace nor the key order of json
  const difficult = (await columnsOf('difficult')).filter(({ type }) => !type.startsWith('json'));
  await readLog(slot, 'difficult', difficult);
  await expectSameRows(lab, 'difficult', 'public.logged_difficult', {
    columns: difficult.map(({ name }) => name),
  });
  await captures.drop({ slot });
});

test('JSON in the log keeps every digit, and is JSON where jsonb can hold it', { tags: 'long' }, async () => {
  await lab.source.query(
    'CREATE TABLE documents (id int PRIMARY KEY, j json, b jsonb, n bigint, d numeric, t boolean)',
  );
  const slot = captures.slotName();
  const request = { tables: ['documents'], slot, initialCopy: false };
  await captures.catchUp(request);
  const documents = [
    ['{"n": 12345678901234567890.123456789}', '12345678901234567890.10'],
    [String.raw`{"nul": "\u0000"}`, '1'],
    [String.raw`"\ud83d\ude00"`, '-1.50'],
    [String.raw`{"half": "\ud800"}`, 'NaN'],
    ['1e999999', '0'],
    [`0.${'1'.repeat(16_384)}`, '0'],
    ['1'.repeat(131_073), '0'],
    // as many digits as fit whatever the exponent is
    [`0.${'1'.repeat(14_999)}e-999`, '0'],
  ];
  for (const [index, [json, number]] of documents.entries()) {
    await lab.source.query('INSERT INTO documents VALUES ($1, $2, $3, 9007199254740993, $4, true)', [
      index,
      json,
      '{"b": 1.10}',
      number,
    ]);
  }
  await captures.catchUp(request);
  const { rows } = await lab.warehouse.query<{ data: string }>(
    `SELECT data::text AS data FROM bronze.cdc_changes WHERE slot = $1 ORDER BY commit_lsn`,
    [slot],
  );
  const rest = (id: number) => `"n": 9007199254740993, "t": true, "id": ${id}}`;
  expect(rows.map(({ data }) => data)).toEqual([
    `{"b": {"b": 1.10}, "d": 12345678901234567890.10, "j": {"n": 12345678901234567890.123456789}, ${rest(0)}`,
    `{"b": {"b": 1.10}, "d": 1, "j": "{\\"nul\\": \\"\\\\u0000\\"}", ${rest(1)}`,
    `{"b": {"b": 1.10}, "d": -1.50, "j": "\\"\\\\ud83d\\\\ude00\\"", ${rest(2)}`,
    `{"b": {"b": 1.10}, "d": "NaN", "j": "{\\"half\\": \\"\\\\ud800\\"}", ${rest(3)}`,
    `{"b": {"b": 1.10}, "d": 0, "j": "1e999999", ${rest(4)}`,
    `{"b": {"b": 1.10}, "d": 0, "j": "0.${'1'.repeat(16_384)}", ${rest(5)}`,
    `{"b": {"b": 1.10}, "d": 0, "j": "${'1'.repeat(131_073)}", ${rest(6)}`,
    `{"b": {"b": 1.10}, "d": 0, "j": 0.${'0'.repeat(999)}${'1'.repeat(14_999)}, ${rest(7)}`,
  ]);
  await captures.drop({ slot });
});

test('values of the type name that are longer in UTF-8 are not cut', { tags: 'long' }, async () => {
  await using latin = await Lab.open({ sourceOptions: `TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'` });
  const latinCaptures = await CaptureLab.open(latin);
  const name = `repeat('é', 63)::name`;
  await latin.source.query(`CREATE TABLE called (id int PRIMARY KEY, n name, ns name[]);
    INSERT INTO called VALUES (1, ${name}, ARRAY[${name}])`);
  const request = { tables: ['called'], slot: latinCaptures.slotName(), mirror: true };
  await latinCaptures.catchUp(request);
  await latin.source.query(`INSERT INTO called VALUES (2, ${name}, ARRAY[${name}]);
    ALTER TABLE called ADD late name; UPDATE called SET late = ${name}`);
  await latinCaptures.catchUp(request);
  await latinCaptures.drop({ slot: request.slot });
  await latin.extract({ table: 'called', target: 'whole', verify: 'checksum' });
  const row = { n: 'é'.repeat(63), ns: ['é'.repeat(63)], late: 'é'.repeat(63) };
  for (const table of ['br_called', 'whole']) {
    const { rows } = await latin.warehouse.query(`SELECT n, ns, late FROM bronze.${table}`);
    expect(rows).toEqual([row, row]);
  }
});

test(
  'a message from a database that is not in UTF-8 is text where all encodings agree, and else its bytes',
  { tags: 'long' },
  async () => {
    await using latin = await Lab.open({ sourceOptions: `TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'` });
    const others = await CaptureLab.open(latin);
    await latin.source.query('CREATE TABLE beside (id int PRIMARY KEY)');
    const request = { tables: ['beside'], slot: others.slotName(), initialCopy: false };
    await others.catchUp(request);
    for (const content of ['plain', 'grün', 'Ã©'])
      await latin.source.query(`SELECT pg_logical_emit_message(true, 'ü', $1::text)`, [content]);
    await others.catchUp(request);
    const messages = (await others.changes(request.slot)).map(({ data }): unknown => JSON.parse(data ?? ''));
    const message = { prefix: 'ü', transactional: true };
    expect(messages).toEqual([
      { ...message, content: 'plain', encoding: 'utf8' },
      { ...message, content: '6772fc6e', encoding: 'hex' },
      { ...message, content: 'c3a9', encoding: 'hex' },
    ]);
    await others.drop({ slot: request.slot });
  },
);

test(
  'characters that a warehouse lacks are kept where they are escaped, and in messages',
  { tags: 'long' },
  async () => {
    await using latin = await Lab.open({
      warehouseOptions: `TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`,
    });
    const others = await CaptureLab.open(latin);
    const table = (name: string) =>
      `CREATE TABLE ${name} (id int PRIMARY KEY, j json); INSERT INTO ${name} VALUES (1, '"\\u20ac"')`;
    await latin.source.query(`${table('prices')}; ${table('late_prices')}`);
    const slot = others.slotName();
    const handle = await others.start({ tables: ['prices'], slot, mirror: true });
    await others.untilStreaming(handle);
    const held = await HeldCopies.hold(latin, 'before the first');
    await handle.executeUpdate('addTables', { args: [['late_prices']] });
    await held.reached();
    const documents = [String.raw`{"a": "\u20ac"}`, String.raw`"\u20ac"`];
    for (const name of ['prices', 'late_prices'])
      await latin.source.query(
        `INSERT INTO ${name} SELECT n + 1, j FROM unnest($1::json[]) WITH ORDINALITY AS o(j, n)`,
        [documents],
      );
    await latin.source.query(`SELECT pg_logical_emit_message(true, 'price', '5 €')`);
    await others.untilWritten(slot);
    await held.release();
    await waitUntil(async () => (await others.status(handle)).copying.length === 0);
    for (const name of ['prices', 'late_prices']) await expectSameRows(latin, name, `bronze.br_${name}`);
    const logged = (await others.changes(slot)).map(({ data }): unknown => JSON.parse(data ?? ''));
    const rows = documents.map((j, index) => ({ id: index + 2, j }));
    expect(logged.slice(0, -1)).toEqual([...rows, ...rows]);
    expect(logged.at(-1)).toMatchObject({ content: '3520e282ac', encoding: 'hex' });
    await others.end(handle, slot);
  },
);

test('a copy that catches up with the log reads JSON as JSON', { tags: 'long' }, async () => {
  await lab.source.query(`CREATE TABLE waiting (id int PRIMARY KEY);
    CREATE TABLE late_documents (id int PRIMARY KEY, j json, b jsonb)`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['waiting'], slot, mirror: true });
  await captures.untilStreaming(handle);
  const held = await HeldCopies.hold(lab, 'before the first');
  await handle.executeUpdate('addTables', { args: [['late_documents']] });
  await held.reached();
  const documents = [
    ['"abc"', '"abc"'],
    ['"123"', '"123"'],
    ['1.50', '1.50'],
    ['true', '{"a": [1]}'],
    [String.raw`{"nul": "\u0000"}`, '"{}"'],
    [null, null],
    ['null', 'null'],
  ];
  for (const [index, [json, jsonb]] of documents.entries())
    await lab.source.query('INSERT INTO late_documents VALUES ($1, $2, $3)', [index, json, jsonb]);
  await captures.untilWritten(slot);
  const { rows: logged } = await lab.warehouse.query<{ nulls: string[] | null }>(
    `SELECT json_nulls AS nulls FROM bronze.cdc_changes WHERE slot = $1 AND data @> '{"b": null}' ORDER BY commit_lsn, ordinal`,
    [slot],
  );
  expect(logged).toEqual([{ nulls: null }, { nulls: ['j', 'b'] }]);
  await held.release();
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  await expectSameRows(lab, 'late_documents', 'bronze.br_late_documents');
  await captures.end(handle, slot);
});

test(
  'a row is found by a key that is stored out of line, in a stream and in a copy that catches up with it',
  { tags: 'long' },
  async () => {
    const large = (seed: string) =>
      `(SELECT string_agg(md5((i * ${seed})::text), '') FROM generate_series(1, 80) i)`;
    // some columns have names of JavaScript, and one that our statements might give to another
    const columns = `url text, part int, visits int, body text, "old part" int, constructor text, "__proto__" text`;
    const fill = (name: string) => `CREATE TABLE ${name} (${columns}, PRIMARY KEY (url, part));
    INSERT INTO ${name} SELECT n || ${large('n')}, 1, n, ${large('-n')}, n, ${large('n + 1')}, 'p' || n FROM generate_series(1, 5) n;
    CREATE TABLE ${name}_whole (LIKE ${name} INCLUDING ALL); ALTER TABLE ${name}_whole REPLICA IDENTITY FULL;
    INSERT INTO ${name}_whole SELECT * FROM ${name};
    CREATE TABLE ${name}_half (LIKE ${name} INCLUDING ALL) PARTITION BY RANGE (part); ALTER TABLE ${name}_half REPLICA IDENTITY FULL;
    CREATE TABLE ${name}_leaf PARTITION OF ${name}_half FOR VALUES FROM (0) TO (10);
    INSERT INTO ${name}_half SELECT * FROM ${name}`;
    const tablesOf = (name: string) => [name, `${name}_whole`, `${name}_half`];
    const change = (table: string) => `UPDATE ${table} SET visits = visits + 10, "__proto__" = 'q' || visits;
    UPDATE ${table} SET part = 2, visits = 0 WHERE visits = 12; DELETE FROM ${table} WHERE visits = 13;
    BEGIN; UPDATE ${table} SET url = 'short' WHERE visits = 14; UPDATE ${table} SET part = 3 WHERE visits = 14; COMMIT`;
    await lab.source.query(`${fill('pages')}; ${fill('late_pages')}`);
    const slot = captures.slotName();
    const handle = await captures.start({ tables: tablesOf('pages'), slot, mirror: true });
    await captures.untilStreaming(handle);
    const held = await HeldCopies.hold(lab, 'before the first');
    await handle.executeUpdate('addTables', { args: [tablesOf('late_pages')] });
    await held.reached();
    for (const table of [...tablesOf('pages'), ...tablesOf('late_pages')])
      await lab.source.query(change(table));
    await captures.untilWritten(slot);
    for (const table of tablesOf('pages')) await expectSameRows(lab, table, `bronze.br_${table}`);
    await held.release();
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    for (const table of tablesOf('late_pages')) await expectSameRows(lab, table, `bronze.br_${table}`);
    await captures.end(handle, slot);
  },
);

test(
  'a copy that catches up with the log holds no more of it than a few large rows',
  { tags: 'long' },
  async () => {
    await lab.source.query('CREATE TABLE heavy (id int PRIMARY KEY, v text)');
    const slot = captures.slotName();
    const request = { tables: ['heavy'], slot, mirror: true };
    await captures.catchUp(request);
    await lab.source
      .query(`INSERT INTO heavy SELECT i, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 16384 + i))
    FROM generate_series(1, 10) i`);
    await captures.catchUp(request);
    const { rows } = await lab.warehouse.query<{ captureId: string; runId: string }>(
      `UPDATE bronze.cdc_tables SET status = 'copying' WHERE "table" = 'heavy'
     RETURNING capture_id::text AS "captureId", run_id AS "runId"`,
    );
    const databases = connectDatabases(lab.configuration());
    const { warehouse } = databases;
    const source = databases.sourceNamed('default');
    const { captureId = '', runId = '' } = rows[0] ?? {};
    const copied = { captureId, runId, table: { schema: 'public', name: 'heavy' } };
    const finishing = { ...copied, source: 'default', deletes: 'hard' as const };
    const answers = await warehouse.write({}, async (session) => {
      const asked = vi.spyOn(session, 'query');
      const readSource: Ask = async (work) => source.read({}, work);
      await finishCopy(session, finishing, { deletes: 'hard', sourceUri: 'postgresql://source', readSource });
      return Promise.all(asked.mock.results.map(({ value }) => value as Promise<unknown[]>));
    });
    await databases.close();
    expect(answers.flat()).toContainEqual(expect.objectContaining({ ordinal: '10' }));
    expect(Math.max(...answers.map((answer) => JSON.stringify(answer).length))).toBeLessThan(1.5 * 2 ** 20);
    await expectSameRows(lab, 'heavy', 'bronze.br_heavy');
    await captures.drop({ slot });
  },
);

test('a copy whose rows another run has loaded since is not finished', { tags: 'long' }, async () => {
  await lab.source.query('CREATE TABLE replaced (id int PRIMARY KEY); INSERT INTO replaced VALUES (1)');
  const slot = captures.slotName();
  await captures.catchUp({ tables: ['replaced'], slot, mirror: true });
  const { rows } = await lab.warehouse.query<{ captureId: string }>(
    `UPDATE bronze.cdc_tables SET status = 'copying' WHERE "table" = 'replaced'
     RETURNING capture_id::text AS "captureId"`,
  );
  const databases = connectDatabases(lab.configuration());
  const table = { schema: 'public', name: 'replaced' };
  const finishing = { captureId: rows[0]?.captureId ?? '', runId: 'another', table, source: 'default' };
  const finished = databases.warehouse.write({}, async (session) =>
    finishCopy(
      session,
      { ...finishing, deletes: 'hard' },
      {
        deletes: 'hard',
        sourceUri: 'postgresql://source',
        readSource: async (work) => databases.sourceNamed('default').read({}, work),
      },
    ),
  );
  await expect(finished).rejects.toMatchObject({
    kind: 'PlanOutdated',
    message: expect.stringContaining('br_replaced was loaded by another run') as string,
  });
  await databases.close();
  await captures.drop({ slot });
});

test('the documented query reads the latest version of each row from the log', async () => {
  await lab.source.query(
    'CREATE TABLE orders (id text PRIMARY KEY, v text); ALTER TABLE orders REPLICA IDENTITY FULL',
  );
  const slot = captures.slotName();
  const request = { tables: ['orders'], slot, initialCopy: false };
  await captures.catchUp(request);
  await lab.source.query(`INSERT INTO orders VALUES (0, 'truncated'); TRUNCATE orders`);
  await lab.source.query(`INSERT INTO orders SELECT i, 'first' FROM generate_series(1, 6) i`);
  await lab.source.query(
    `UPDATE orders SET v = 'second' WHERE id <= '4'; DELETE FROM orders WHERE id IN ('1', '5')`,
  );
  await lab.source.query(
    `UPDATE orders SET id = '7' WHERE id = '2'; INSERT INTO orders VALUES (1, 'again'), (2, 'another')`,
  );
  await lab.source.query(`DELETE FROM orders WHERE id = '6'; UPDATE orders SET id = '6' WHERE id = '3'`);
  // stored out of line, so that updates do not send it with the new row
  const outOfLine = `(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 80) i)`;
  await lab.source.query(
    `INSERT INTO orders VALUES (${outOfLine}, 'third'); UPDATE orders SET v = 'fourth' WHERE v = 'third'`,
  );
  await captures.catchUp(request);
  const page = await readFile(join(PROJECT_ROOT, 'docs/changes.md'), 'utf8');
  const [, documented = ''] = /```sql\n(WITH log AS [^`]*);\n```/.exec(page) ?? [];
  const query = documented.replace("slot = 'shop'", `slot = '${slot}'`);
  await lab.warehouse.query(
    `CREATE VIEW public.latest_orders AS SELECT key AS id, data ->> 'v' AS v FROM (${query}) AS rows`,
  );
  await expectSameRows(lab, 'orders', 'public.latest_orders');
  await captures.drop({ slot });
});

test(
  'what jsonb cannot hold: of a message the size is logged, a row ends the capture, which says how to go on',
  { tags: 'long' },
  async () => {
    await using own = await Lab.open(); // messages come to all captures of a database
    const others = await CaptureLab.open(own);
    await own.source.query('CREATE TABLE huge (id int PRIMARY KEY, v text)');
    const request = { tables: ['huge'], slot: others.slotName(), mirror: true };
    await others.catchUp(request);
    await own.source.query(`INSERT INTO huge VALUES (1, 'before');
      SELECT pg_logical_emit_message(true, 'text', repeat('x', 270000000));
      SELECT pg_logical_emit_message(true, 'bytes', decode(repeat('ff', 135000000), 'hex'));
      SELECT pg_logical_emit_message(true, 'escapes', repeat(E'\\x01', 90000000)); INSERT INTO huge VALUES (2, 'after')`);
    await others.catchUp(request);
    const logged = (await others.changes(request.slot)).map(({ data }): unknown => JSON.parse(data ?? ''));
    const message = { content: null, encoding: 'left out' };
    expect(logged).toEqual([
      { id: 1, v: 'before' },
      { ...message, prefix: 'text', transactional: true, bytes: 270_000_000 },
      { ...message, prefix: 'bytes', transactional: true, bytes: 135_000_000 },
      { ...message, prefix: 'escapes', transactional: true, bytes: 90_000_000 },
      { id: 2, v: 'after' },
    ]);
    await expectSameRows(own, 'huge', 'bronze.br_huge');
    await own.source.query(`INSERT INTO huge VALUES (3, repeat('x', 270000000))`);
    await expectFailure(
      others.catchUp(request),
      'UnsupportedTable',
      /A row of public\.huge at .* has 257\.5 MB as text, .* run dropCapture, then start the capture again/,
    );
    await others.drop({ slot: request.slot });
  },
);
