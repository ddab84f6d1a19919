import { Client } from 'pg';
import { startStack } from '../local/stack.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { Extractor } from './extractor.ts';
import { say } from './say.ts';
import { timed } from './timed.ts';

const TABLES = Number(process.env['BENCH_TABLES'] ?? 500);
const ROWS = Number(process.env['BENCH_ROWS'] ?? 1_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);

/** Many small tables, end to end: the first run makes the bronze tables, the others replace their rows. */
export async function benchTables(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    await makeTables(stack.sourceUrl);
    const extractor = await Extractor.start(stack);
    for (let round = 0; round <= ROUNDS; round += 1) await measure(extractor, round);
    await extractor.stop();
  } finally {
    await stack.close();
  }
}

async function makeTables(url: string): Promise<void> {
  const source = new Client(url);
  await source.connect();
  for (let number = 1; number <= TABLES; number += 1) {
    await source.query(`CREATE TABLE table_${number} (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2),
      at timestamptz NOT NULL DEFAULT now(), note jsonb)`);
    await source.query(
      `INSERT INTO table_${number} SELECT i, md5(i::text), i * 1.25, now(), '{"a": 1}' FROM generate_series(1, ${ROWS}) i`,
    );
  }
  await source.end();
}

async function measure(extractor: Extractor, round: number): Promise<void> {
  const { result, milliseconds } = await timed(async () => extractor.database({ tables: ['public.*'] }));
  const { committed, rows } = result.result;
  const label = round === 0 ? 'first run' : `run ${round + 1}`;
  say(
    `${label}: ${committed} tables, ${rows.toLocaleString('en-US')} rows in ${formatDuration(milliseconds)}, ${result.events} events`,
  );
}
