export const PARTITIONS = 100;
const FIRST_DAY = Date.UTC(2024, 0, 1);
const MILLISECONDS_OF_DAY = 86_400_000;

/** Returns the day of a partition as an SQL date. */
export const dayOf = (partition: number): string =>
  new Date(FIRST_DAY + partition * MILLISECONDS_OF_DAY).toISOString().slice(0, 10);

/** Returns statements for a table with a partition for each of a hundred days, and equally many rows in each. */
export function partitioned(name: string, rows: number): string[] {
  const partitions = Array.from(
    { length: PARTITIONS },
    (_, number) =>
      `CREATE TABLE ${name}_${number} PARTITION OF ${name} FOR VALUES FROM ('${dayOf(number)}') TO ('${dayOf(number + 1)}')`,
  );
  return [
    `CREATE TABLE ${name} (id bigint NOT NULL, day date NOT NULL, at timestamptz, note text, amount numeric(12, 2)) PARTITION BY RANGE (day)`,
    ...partitions,
    `INSERT INTO ${name} SELECT i, date '${dayOf(0)}' + (i - 1) / ${Math.ceil(rows / PARTITIONS)}, timestamptz '${dayOf(0)}' + i * interval '1 second',
            md5(i::text) || md5((-i)::text), i * 1.25 FROM generate_series(1, ${rows}) i`,
  ];
}
