import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { extractTableInput, type ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { incrementalInputs } from '../../src/contract/incremental.ts';
import { extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
let examples: ExtractTableRequest[];

beforeAll(async () => {
  lab = await Lab.open();
  const text = await readFile(join(PROJECT_ROOT, 'docs/incremental.md'), 'utf8');
  examples = [...text.matchAll(/```json\n(.*?)```/gs)].map(
    ([, json]) => JSON.parse(json ?? '') as ExtractTableRequest,
  );
});
afterAll(async () => lab.close());

test('every input of docs/incremental.md works, in the order of the document', async () => {
  await lab.source
    .query(`CREATE TABLE orders (id int PRIMARY KEY, number text NOT NULL, total numeric, updated_at timestamptz);
    INSERT INTO orders SELECT i, 'n' || i, i, timestamptz '2024-01-01' + i * interval '1 hour' FROM generate_series(1, 1000) i`);
  for (const [index, request] of examples.entries()) {
    const id = 2000 + index;
    await lab.source.query(`INSERT INTO orders VALUES ($1::int, 'n' || $1, 0, now())`, [id]);
    await extractIncrement(lab, request);
    // a backfill does not see the newest row
    if (request.incremental?.to !== undefined) continue;
    await expectSameRows(lab, 'orders', `bronze.${request.target ?? 'br_orders'}`);
  }
  expect(examples.length).toBeGreaterThan(8);
});

test('every input has an example there', () => {
  const used = new Set(
    examples.flatMap((example) => [...Object.keys(example), ...Object.keys(example.incremental ?? {})]),
  );
  const known = [
    ...Object.keys(incrementalInputs),
    ...Object.keys(extractTableInput.shape.incremental.unwrap().shape),
  ];
  expect(known.filter((name) => !used.has(name))).toEqual([]);
});
