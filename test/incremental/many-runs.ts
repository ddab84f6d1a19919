import { expect } from 'vitest';
import { extractIncrement } from '../setup/incremental.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { OutOfOrderWriter } from './out-of-order-writer.ts';

/** No lookback: only the checkpoint keeps late rows from being lost. */
const incremental = { column: 'updated_at', lookback: 0 };

/** Runs append and merge alongside writers that commit out of order: nothing may be lost or duplicated. */
export async function expectNothingLost(lab: Lab, rounds: number): Promise<void> {
  await lab.source
    .query(`CREATE TABLE accounts (id bigserial PRIMARY KEY, balance numeric, note text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON accounts (updated_at);
    INSERT INTO accounts (balance) SELECT i FROM generate_series(1, 500) i`);
  const writer = await OutOfOrderWriter.start(lab, {
    sessions: 6,
    longestPause: 400,
    work: async (session, random) => {
      await session.query(
        `INSERT INTO accounts (balance, note) SELECT $1::int / 7.0, 'new' FROM generate_series(1, 3)`,
        [random(1e6)],
      );
      // different rows per session, so that writers do not wait for one another
      await session.query(`UPDATE accounts SET balance = $1, note = 'changed', updated_at = now() WHERE id IN (SELECT id FROM accounts WHERE id % 97 = $2 ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED)`, [random(1e6), random(97)]); // prettier-ignore
    },
  });
  let added = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const [append, merge] = await Promise.all([
      extractIncrement(lab, {
        table: 'accounts',
        target: 'br_append',
        write: 'append',
        currentView: true,
        incremental,
      }),
      extractIncrement(lab, { table: 'accounts', target: 'br_merge', write: 'merge', incremental }),
    ]);
    expect([append.incremental.protection, merge.incremental.protection]).toEqual([
      'oldest transaction',
      'oldest transaction',
    ]);
    added += append.incremental.added;
  }
  expect(await writer.stop()).toBeGreaterThan(2 * rounds);
  for (const write of ['append', 'merge'] as const) {
    const last = await extractIncrement(lab, {
      table: 'accounts',
      target: `br_${write}`,
      write,
      currentView: write === 'append',
      incremental,
    });
    added += write === 'append' ? last.incremental.added : 0;
  }

  await expectSameRows(lab, 'accounts', 'bronze.br_merge');
  await expectSameRows(lab, 'accounts', 'bronze.br_append_current');
  const { rows } = await lab.warehouse.query(
    `SELECT count(*)::int, count(DISTINCT (id, updated_at))::int AS versions FROM bronze.br_append`,
  );
  expect(rows).toEqual([{ count: added, versions: added }]);
  expect(await lab.leftovers()).toEqual([]);
}

/** Likewise with ids that are assigned in one order and committed in another: each must be there once. */
export async function expectNoIdLost(lab: Lab, rounds: number): Promise<void> {
  await lab.source.query(`CREATE TABLE events (id bigserial PRIMARY KEY, what text)`);
  const writer = await OutOfOrderWriter.start(lab, {
    sessions: 6,
    longestPause: 300,
    work: async (session) => void (await session.query(`INSERT INTO events (what) VALUES ('one'), ('two')`)),
  });
  for (let round = 1; round <= rounds; round += 1)
    await extractIncrement(lab, { table: 'events', incremental: { column: 'id' } });
  expect(await writer.stop()).toBeGreaterThan(2 * rounds);
  await extractIncrement(lab, { table: 'events', incremental: { column: 'id' } });
  await expectSameRows(lab, 'events', 'bronze.br_events');
}
