import { lstat } from 'node:fs/promises';

/**
 * Whether the directory is there. Anybody can make one of a known name in a shared temporary directory, and we
 * run only what we put there ourselves: one that others made, or may write to, is refused.
 */
export async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  if (found === undefined) return false;
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return true;
  throw new Error(`${directory} is in the way: it was not made by this user`);
}
