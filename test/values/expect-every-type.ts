import { expect } from 'vitest';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { makeTableOfEveryType } from './every-type.ts';

interface ManifestColumn {
  readonly name: string;
  readonly type: string;
  readonly sourceType: string;
  readonly decision: string;
}

/** Extracts a table with a column of every type of the source, and returns the outcome for each. */
export async function expectEveryTypeKept(lab: Lab): Promise<Record<string, string>> {
  await lab.source.query('DROP TABLE IF EXISTS every_type');
  const { types, values } = await makeTableOfEveryType(lab.source, 'every_type');
  expect(values).toBeGreaterThan(500);
  const { runId } = await lab.extract({ table: 'every_type', verify: 'checksum' });
  const { rows } = await lab.warehouse.query<{ columns: ManifestColumn[] }>(
    'SELECT columns FROM bronze.extraction_runs WHERE run_id = $1',
    [runId],
  );
  const columns = rows[0]?.columns.filter(({ name }) => name !== 'id') ?? [];
  expect(columns.map(({ name }) => name)).toEqual(Object.keys(types));
  const sent = columns
    .filter(({ decision }) => decision === 'jsonb')
    .map(({ name }) => [name, `to_jsonb(${name})`]);
  const names = columns.filter(
    ({ name, type }) => !(types[name]?.startsWith('reg') && type.startsWith('text')),
  );
  await expectSameRows(lab, 'every_type', 'bronze.br_every_type', {
    columns: ['id', ...names.map(({ name }) => name)],
    as: Object.fromEntries(sent) as Record<string, string>,
  });
  return Object.fromEntries(
    columns.map(({ name, type, decision }) => [types[name] ?? '', `${decision}: ${type}`]),
  );
}
