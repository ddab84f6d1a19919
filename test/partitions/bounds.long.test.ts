// @module-tag long
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExtractionPlan } from '../../src/bronze/plan.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../../src/contract/extract-table.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { fill, shapes, type Shape } from './shapes.ts';

let lab: Lab;
const tables = new Map(shapes.map((shape, index) => [shape, `t${index}`]));
const tableOf = (shape: Shape): string => tables.get(shape) ?? '';
const runs = new Map<Shape, Promise<ExtractTableResult>>();

/** Lists what a run would read: partition names without that of the table, with a `~` if only some rows are read. */
async function planned(request: ExtractTableRequest, table: string): Promise<string[]> {
  await using steps = new Steps(lab);
  const { planId } = await steps.plan(request);
  const { rows } = await lab.warehouse.query<{ plan: ExtractionPlan }>(
    'SELECT plan FROM bronze.extraction_plans WHERE plan_id = $1',
    [planId],
  );
  await steps.discard();
  return (rows[0]?.plan.partitions ?? []).map(({ schema, name, filter }) => {
    const label =
      schema === 'public' ? name.slice(table.length + 1) : `${schema.slice(table.length)}.${name}`;
    return `${label}${filter === undefined ? '' : '~'}`;
  });
}

const rangeOf = ({ from, to }: Shape) => ({
  ...(from !== undefined && { from }),
  ...(to !== undefined && { to }),
});

beforeAll(async () => {
  lab = await Lab.open();
  for (const shape of shapes) {
    await lab.source.query(shape.create(tableOf(shape)));
    await lab.source.query(fill(shape, tableOf(shape)));
    runs.set(shape, lab.extract({ table: tableOf(shape), partitions: rangeOf(shape) }));
  }
});
afterAll(async () => lab.close());

describe.each(shapes)('$name', (shape) => {
  const table = tableOf(shape);

  test('only the partitions of the range are read, and of those that it cuts only its rows', async () => {
    expect(await planned({ table, partitions: rangeOf(shape) }, table)).toEqual(shape.read);
    expect(await planned({ table, partitions: { ...rangeOf(shape), exact: false } }, table)).toEqual(
      shape.read.map((name) => name.replace('~', '')),
    );
    expect(await runs.get(shape)).toMatchObject({ outcome: 'committed', partitions: shape.read.length });
    await expectSameRows(lab, table, `bronze.br_${table}`, { where: shape.where });
  });
});

test('without exact, partitions that the range cuts come whole', async () => {
  const table = 't1';
  const partitions = { from: '2024-02-29', to: '2024-05-02', exact: false };
  await lab.extract({ table, partitions, target: 'whole' });
  await expectSameRows(lab, table, 'bronze.whole', { where: `day >= '2024-02-01' AND day < '2024-06-01'` });
});
