import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from 'pg';

const run = promisify(execFile);

/** A separate, small file system for a server on this machine. */
export interface SmallDisk extends AsyncDisposable {
  readonly directory: string;
}

/** Mounts a disk, or returns the reason why this process cannot. */
export async function mountSmallDisk(server: Client, size: string): Promise<SmallDisk | string> {
  const directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory]);
  } catch (error) {
    await rm(directory, { recursive: true });
    return `a tmpfs cannot be mounted here: ${String(error)}`;
  }
  const { rows } = await server.query<{ data_directory: string }>('SHOW data_directory');
  const { uid, gid } = await stat(rows[0]?.data_directory ?? directory);
  await chown(directory, uid, gid);
  return {
    directory,
    [Symbol.asyncDispose]: async () => {
      await run('umount', [directory]);
      await rm(directory, { recursive: true });
    },
  };
}
