import { spawn } from 'node:child_process';
import { Client } from 'pg';

/** `psql COPY TO | psql COPY FROM`: what one would do by hand. Gives milliseconds. */
export async function psqlPipe(sourceUrl: string, warehouseUrl: string, format: 'binary' | 'text'): Promise<number> {
  await makeTarget(warehouseUrl);
  const began = performance.now();
  const reading = spawn('psql', [sourceUrl, '-qXc', `COPY events TO STDOUT (FORMAT ${format})`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // the pipe is the kernel's, as a shell makes it: this process carries no byte
  const writing = spawn('psql', [warehouseUrl, '-qXc', `COPY by_hand FROM STDIN (FORMAT ${format})`], {
    stdio: [reading.stdout, 'ignore', 'inherit'],
  });
  await Promise.all([succeeded(reading), succeeded(writing)]);
  return performance.now() - began;
}

async function makeTarget(warehouseUrl: string): Promise<void> {
  const client = new Client(warehouseUrl);
  await client.connect();
  await client.query(`DROP TABLE IF EXISTS by_hand; CREATE TABLE by_hand (
    id bigint, customer int, kind smallint, amount numeric(12, 2), score float8, open boolean,
    created_at timestamptz, token text, name text, details jsonb)`);
  await client.end();
}

async function succeeded(child: ReturnType<typeof spawn>): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`psql ended with ${code}; the benchmark needs psql on the PATH`);
}
