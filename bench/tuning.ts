import { Client } from 'pg';
import { startPostgres } from '../local/postgres.ts';
import { tuningProfiles } from '../src/contract/session-settings.ts';
import type { BenchOptions } from './options.ts';
import { say } from './say.ts';

/** Statements that different kinds of runs send to the source: for a chunk, or for a whole view. */
const statements: Readonly<Record<string, string>> = {
  'a chunk of a table': `SELECT * FROM ONLY events WHERE ctid >= '(0,0)' AND ctid < '(4000,0)'`,
  'where, by an index': `SELECT * FROM events WHERE customer BETWEEN 100 AND 400`,
  'a view that groups': 'SELECT customer, token, count(*), sum(amount) FROM events GROUP BY 1, 2',
  'a view that joins and sorts':
    'SELECT e.*, c.name FROM events e JOIN customers c ON c.id = e.customer ORDER BY e.token, e.amount',
};

const variants: Readonly<Record<string, Readonly<Record<string, string | number>>>> = {
  nothing: {},
  ...Object.fromEntries(
    Object.entries(tuningProfiles.guide).map(([name, value]) => [name, { [name]: value }]),
  ),
  'all of "guide"': tuningProfiles.guide,
};

/**
 * Finds the session settings that make the source faster: server time only, the best of some rounds, with the
 * temporary files it wrote and the plan it chose.
 */
export async function benchTuning({ rows = 500_000, rounds = 5 }: BenchOptions): Promise<void> {
  const server = await startPostgres({ databases: ['source'] });
  const client = new Client(server.url('source'));
  await client.connect();
  try {
    await prepare(client, rows);
    const names = Object.keys(statements);
    say(`${rows.toLocaleString('en-US')} rows; milliseconds, best of ${rounds}: ${names.join(' | ')}`);
    for (const [variant, settings] of Object.entries(variants)) {
      const times: string[] = [];
      for (const statement of Object.values(statements)) {
        times.push((await best(client, { settings, statement, rounds })).padEnd(40));
      }
      say(`  ${variant.padEnd(34)} ${times.join(' ')}`);
    }
  } finally {
    await client.end();
    await server.dispose();
  }
}

async function prepare(client: Client, rows: number): Promise<void> {
  await client.query(`CREATE TABLE customers AS SELECT i AS id, 'customer ' || i AS name FROM generate_series(1, 20000) i;
    CREATE TABLE events AS SELECT i AS id, (hashint4(i) & 2147483647) % 20000 AS customer, md5(i::text) AS token,
           i % 1000 / 100.0 AS amount, repeat('x', 80) AS note FROM generate_series(1, ${rows}) i;
    CREATE INDEX ON events (customer)`);
  await client.query('VACUUM (ANALYZE) events');
  await client.query('VACUUM (ANALYZE) customers');
}

async function best(
  client: Client,
  {
    settings,
    statement,
    rounds,
  }: {
    readonly settings: Readonly<Record<string, string | number>>;
    readonly statement: string;
    readonly rounds: number;
  },
): Promise<string> {
  const times: number[] = [];
  let shape = '';
  for (let round = 0; round < rounds; round += 1) {
    await client.query('BEGIN READ ONLY');
    for (const [name, value] of Object.entries(settings))
      await client.query(`SET LOCAL ${name} = '${value}'`);
    const began = performance.now();
    await client.query(`COPY (${statement}) TO '/dev/null' (FORMAT binary)`);
    times.push(performance.now() - began);
    if (round === 0) shape = await describe(client, statement);
    await client.query('ROLLBACK');
  }
  return `${Math.min(...times).toFixed(0)} ms ${shape}`;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Temp Written Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

/** Lists the plan nodes, and the megabytes written to temporary files. */
async function describe(client: Client, statement: string): Promise<string> {
  const { rows } = await client.query<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${statement}`,
  );
  const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) return '';
  const nodes = (node: PlanNode): string[] => [node['Node Type'], ...(node.Plans ?? []).flatMap(nodes)];
  const written = (plan['Temp Written Blocks'] * 8192) / 1024 ** 2;
  return `${written.toFixed(0)} MB (${nodes(plan).join(' < ')})`;
}
