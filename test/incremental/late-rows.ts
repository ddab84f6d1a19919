import { expect } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { extractIncrement } from '../setup/incremental.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

export interface Clock {
  readonly type: string;
  /** Value that a writer sets, at the beginning of its transaction. */
  readonly value: string;
}

/** Expects rows committed after a later run has begun to be in bronze after the next run, without any lookback. */
export async function expectLateRows(lab: Lab, name: string, { type, value }: Clock): Promise<void> {
  const request: ExtractTableRequest = { table: name, incremental: { column: 'at', lookback: 0 } };
  await lab.source
    .query(`CREATE TABLE ${name} (id int PRIMARY KEY, at ${type} NOT NULL); CREATE INDEX ON ${name} (at);
    INSERT INTO ${name} SELECT i, ${value} - i * interval '1 hour' FROM generate_series(1, 50) i`);
  const [idle, late] = [await lab.connect('source'), await lab.connect('source')];
  await idle.query('BEGIN; SELECT 1');
  await late.query(`BEGIN; INSERT INTO ${name} VALUES (1001, ${value})`);
  await lab.source.query(`SELECT pg_sleep(1.2)`);
  await lab.source.query(`INSERT INTO ${name} VALUES (1002, ${value})`);
  const first = await extractIncrement(lab, request);
  expect(first).toMatchObject({ rows: 51, incremental: { protection: 'oldest transaction' } });
  // earlier than the oldest transaction by more than its start may be older than what others see of it
  const { rows } = await idle.query<{ safe: boolean }>(
    `SELECT $1::${type} <= ${value} - interval '1 second' AS safe`,
    [first.incremental.checkpoint],
  );
  expect(rows).toEqual([{ safe: true }]);
  expect(first.warnings).toEqual(
    type === 'timestamp' ? [expect.stringMatching(/"at".*an hour comes twice.*"1 hour" or more/)] : [],
  );

  await late.query('COMMIT');
  expect((await extractIncrement(lab, request)).incremental.added).toBe(1);
  await expectSameRows(lab, name, `bronze.br_${name}`);

  // had written nothing so far, and is still the oldest transaction
  await idle.query(`INSERT INTO ${name} VALUES (1003, ${value}); COMMIT`);
  expect((await extractIncrement(lab, request)).incremental.added).toBe(1);
  await lab.source.query(`INSERT INTO ${name} VALUES (1004, ${value})`);
  await extractIncrement(lab, request);
  await expectSameRows(lab, name, `bronze.br_${name}`);
}
