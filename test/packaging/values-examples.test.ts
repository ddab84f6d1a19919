import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { valueInputs } from '../../src/contract/value-inputs.ts';
import { Lab } from '../setup/lab.ts';

const document = await readFile(join(PROJECT_ROOT, 'docs/values.md'), 'utf8');
const blocks = (language: string) =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, text]) => text ?? '');
const examples = blocks('json').map((text) => JSON.parse(text) as ExtractTableRequest);
const [setUp = '', question = ''] = blocks('sql');

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(setUp);
  await lab.source.query(`DO $$ DECLARE object oid; BEGIN
    FOR object IN SELECT oid FROM pg_largeobject_metadata LOOP
      EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO extractor', object);
    END LOOP; END $$`);
});
afterAll(async () => lab.close());

test.each(examples)('the example %j works', async (request) => {
  expect(await lab.extract(request)).toMatchObject({ outcome: 'committed' });
});

test('the question about large objects is answered', async () => {
  const { rows } = await lab.warehouse.query(question);
  expect(rows).toHaveLength(2);
});

test('every input about values has an example', () => {
  const shown = examples.flatMap((example) => Object.keys(example));
  expect(Object.keys(valueInputs).filter((name) => !shown.includes(name))).toEqual([]);
});
