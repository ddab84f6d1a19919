import { lstat } from 'node:fs/promises';

/**
 * Returns true if the directory exists, and refuses one that others made or may write to: anybody can create
 * a known name in a shared temporary directory, and we only run what we put there ourselves.
 */
export async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  if (found === undefined) return false;
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return true;
  throw new Error(`${directory} is in the way: it was not made by this user`);
}
