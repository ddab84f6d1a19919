import type { Lab } from '../setup/lab.ts';

/** Creates a table with many partitions, in statements that each fit into the server's lock table. */
export async function makePartitions(
  lab: Lab,
  table: string,
  count: number,
  rowsEach: number,
): Promise<void> {
  await lab.source.query(`CREATE TABLE ${table} (id bigint, n int, v text) PARTITION BY RANGE (n)`);
  for (let from = 0; from < count; from += 200) {
    await lab.source.query(
      Array.from({ length: Math.min(200, count - from) }, (_, index) => {
        const n = from + index;
        const name = `${table}_${String(n).padStart(5, '0')}`;
        return `CREATE TABLE ${name} PARTITION OF ${table} FOR VALUES FROM (${n}) TO (${n + 1});
          INSERT INTO ${name} SELECT i, ${n}, 'row ' || i FROM generate_series(1, ${rowsEach}) i;`;
      }).join('\n'),
    );
  }
}
