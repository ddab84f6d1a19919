import { spawn } from 'node:child_process';
import { benchColumns } from './bench-table.ts';
import { execute } from './execute.ts';
import { timed } from './timed.ts';

/** `psql COPY TO | psql COPY FROM`: what one would do by hand. Gives milliseconds. */
export async function psqlPipe(
  sourceUrl: string,
  warehouseUrl: string,
  format: 'binary' | 'text',
): Promise<number> {
  await execute(warehouseUrl, `DROP TABLE IF EXISTS by_hand; CREATE TABLE by_hand (${benchColumns})`);
  // a shell's pipe is the kernel's: this process carries no byte
  const pipe = `psql "$1" -qXc "COPY events TO STDOUT (FORMAT ${format})" | psql "$2" -qXc "COPY by_hand FROM STDIN (FORMAT ${format})"`;
  const { milliseconds } = await timed(async () =>
    succeeded(
      spawn('sh', ['-c', pipe, 'sh', sourceUrl, warehouseUrl], { stdio: ['ignore', 'ignore', 'inherit'] }),
    ),
  );
  return milliseconds;
}

async function succeeded(child: ReturnType<typeof spawn>): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`psql ended with ${code}; the benchmark needs psql on the PATH`);
}
