import { startStack } from '../local/stack.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { formatBytes } from '../src/contract/quantities.ts';
import { benchColumns, makeBenchTable } from './bench-table.ts';
import { compareRequests } from './compare-requests.ts';
import { execute } from './execute.ts';
import { say } from './say.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 2_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const PARTITIONS = 24;

const variants: Readonly<Record<string, ExtractTableRequest>> = {
  'one table': { table: 'events' },
  'in partitions': { table: 'parted' },
  // the first makes an index of bronze, which the table has then
  'one of them replaced': {
    table: 'parted',
    write: 'replace-partitions',
    partitions: { names: ['parted_7'] },
  },
  'another replaced': {
    table: 'parted',
    write: 'replace-partitions',
    partitions: { names: ['parted_8'] },
  },
};

/** What it costs that a table is partitioned: the same rows in one table and in partitions, in turn, and then one partition alone. */
export async function benchPartitions(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, ROWS);
    await makePartitions(stack.sourceUrl);
    say(
      `${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}, in one table and in ${PARTITIONS} partitions; ${ROUNDS} rounds`,
    );
    await compareRequests(stack, variants, ROUNDS);
  } finally {
    await stack.close();
  }
}

async function makePartitions(url: string): Promise<void> {
  const each = Math.ceil((ROWS + 1) / PARTITIONS);
  const parts = Array.from(
    { length: PARTITIONS },
    (_, part) =>
      `CREATE TABLE parted_${part} PARTITION OF parted FOR VALUES FROM (${part * each}) TO (${(part + 1) * each})`,
  );
  await execute(
    url,
    `CREATE TABLE parted (${benchColumns}) PARTITION BY RANGE (id); ${parts.join(';')};
    INSERT INTO parted SELECT * FROM events ORDER BY id; ALTER TABLE parted ADD PRIMARY KEY (id)`,
  );
  await execute(url, 'VACUUM (ANALYZE) parted');
}
