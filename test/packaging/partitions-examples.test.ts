import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { extractTableInput, type ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { partitionInputs } from '../../src/contract/partition-inputs.ts';
import { Lab } from '../setup/lab.ts';

const document = await readFile(join(PROJECT_ROOT, 'docs/partitions.md'), 'utf8');
const blocks = (language: string) =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, text]) => text ?? '');
const examples = blocks('json').map((text) => JSON.parse(text) as ExtractTableRequest);

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  // in a session that ends: an open one would have to be waited for
  const session = await lab.connect('source');
  for (const statement of blocks('sql')) await session.query(statement);
  await session.end();
});
afterAll(async () => lab.close());

test('every input of docs/partitions.md works, in the order of the document', async () => {
  for (const request of examples) {
    const { outcome, warnings } = await lab.extract(request);
    expect({ request, outcome, warnings }).toEqual({ request, outcome: 'committed', warnings: [] });
  }
  expect(examples.length).toBeGreaterThan(5);
});

test('every input has an example there', () => {
  const used = new Set(
    examples.flatMap((example) => [...Object.keys(example), ...Object.keys(example.partitions ?? {})]),
  );
  const known = [
    ...Object.keys(partitionInputs),
    ...Object.keys(extractTableInput.shape.partitions.unwrap().shape),
    'lockTimeout',
  ];
  expect(known.filter((name) => !used.has(name))).toEqual([]);
});
