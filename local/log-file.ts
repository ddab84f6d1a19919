import { open, readFile } from 'node:fs/promises';

/** Passes `use` a descriptor to which a child's output can be appended. */
export async function withLogFile<Result>(
  path: string,
  use: (descriptor: number) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, 'a');
  try {
    return await use(file.fd);
  } finally {
    await file.close();
  }
}

/** Returns the end of a log, for an error message. */
export async function lastLines(path: string, count = 20): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  // a Go program says why it panics before it prints its stacks
  const [said = ''] = text.split(/\n+goroutine \d+ \[/);
  return said.trimEnd().split('\n').slice(-count).join('\n');
}
