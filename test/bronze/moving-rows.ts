import { expect } from 'vitest';
import type { Lab } from '../setup/lab.ts';

const ACCOUNTS = 20_000;

/** Statements that preserve the number of accounts and the sum of their balances; they touch different rows. */
const MONEY_MOVES = [
  `WITH payer AS (SELECT id FROM accounts WHERE id % 2 = 0 ORDER BY random() LIMIT 1), payee AS (SELECT id FROM accounts WHERE id % 2 = 0 ORDER BY random() LIMIT 1)
   UPDATE accounts a SET balance = balance + CASE WHEN a.id = payee.id THEN 7 ELSE -7 END
     FROM payer, payee WHERE payer.id <> payee.id AND a.id IN (payer.id, payee.id)`,
  `WITH gone AS (DELETE FROM accounts WHERE id IN (SELECT 2 * (random() * ${ACCOUNTS / 2})::int + 1 FROM generate_series(1, 100)) RETURNING *)
   INSERT INTO accounts SELECT -2 * nextval('account_ids') - 1, balance, filler FROM gone`,
  'VACUUM accounts',
];

async function keepMoving(lab: Lab, statement: string, until: AbortSignal): Promise<number> {
  const client = await lab.connect('source');
  let times = 0;
  for (; !until.aborted; times += 1) await client.query(statement);
  return times;
}

/** Extracts accounts once per chunk size while their rows move: each run must show a single moment. */
export async function expectOneMoment(lab: Lab, chunkSizes: readonly string[]): Promise<void> {
  // full blocks, so that an updated row has to move to another one
  await lab.source
    .query(`CREATE TABLE accounts (id int PRIMARY KEY, balance bigint, filler text) WITH (fillfactor = 100);
    INSERT INTO accounts SELECT i, 1000, repeat('x', 200) FROM generate_series(1, ${ACCOUNTS}) i`);
  await lab.source.query('CREATE SEQUENCE account_ids');
  const done = new AbortController();
  const movers = MONEY_MOVES.map(async (statement) => keepMoving(lab, statement, done.signal));
  try {
    for (const chunkSize of chunkSizes) {
      const result = await lab.extract({ table: 'accounts', chunkSize, parallelism: 4 });
      expect(result.chunks).toBeGreaterThan(4);
      const { rows } = await lab.warehouse.query(
        'SELECT count(*)::int AS rows, count(DISTINCT id)::int AS accounts, sum(balance)::int AS total FROM bronze.br_accounts',
      );
      expect(rows).toEqual([{ rows: ACCOUNTS, accounts: ACCOUNTS, total: ACCOUNTS * 1000 }]);
    }
  } finally {
    done.abort();
  }
  for (const times of await Promise.all(movers)) expect(times).toBeGreaterThan(3);
}
