import { afterAll, beforeAll, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { difficultTable, madeTypesAs, madeTypesTable } from './difficult-values.ts';

/** Each changes what a value is as text, how a text is read, or how a statement is understood. */
const ODD_SETTINGS = [
  "DateStyle = 'SQL, DMY'",
  "TimeZone = 'Asia/Kathmandu'",
  "IntervalStyle = 'iso_8601'",
  'extra_float_digits = -10',
  "bytea_output = 'escape'",
  "xmloption = 'document'",
  'array_nulls = off',
  "client_encoding = 'LATIN1'",
  'quote_all_identifiers = on',
  "search_path = 'elsewhere'",
  "default_transaction_isolation = 'serializable'",
  'row_security = off',
];

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  const roles = [['source', 'extractor'], ['warehouse', 'loader']] as const; // prettier-ignore
  for (const [side, role] of roles) {
    await lab[side].query('CREATE EXTENSION hstore');
    for (const setting of ODD_SETTINGS) {
      await lab[side].query(`ALTER ROLE ${role} IN DATABASE ${side}_${lab.name} SET ${setting}`);
    }
    // of a warehouse it says that nobody is to write, which is heeded: test/inputs/warehouse-away.test.ts
    if (side === 'source')
      await lab.source.query(
        `ALTER ROLE extractor IN DATABASE source_${lab.name} SET default_transaction_read_only = on`,
      );
  }
  await lab.startWorkers();
});
afterAll(async () => lab.close());

test('binary copies keep every value whatever the roles are set to', async () => {
  await lab.source.query(difficultTable('difficult', 'binary'));
  await lab.extract({ table: 'difficult' });
  await expectSameRows(lab, 'difficult', 'bronze.br_difficult');
});

test('text copies keep every value whatever the roles are set to', async () => {
  await lab.source.query(difficultTable('as_text', 'text'));
  await lab.source.query(`ALTER TABLE as_text ADD h hstore; UPDATE as_text SET h = 'a=>NULL'`);
  await lab.extract({ table: 'as_text' });
  await expectSameRows(lab, 'as_text', 'bronze.br_as_text');
});

test('casts keep every value whatever the roles are set to', async () => {
  await lab.source.query(madeTypesTable('made'));
  await lab.extract({ table: 'made' });
  await expectSameRows(lab, 'made', 'bronze.br_made', { as: madeTypesAs });
});
