import { open, readFile } from 'node:fs/promises';

/** Gives `use` a descriptor that a child's output can be appended to. */
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

/** The end of a log, for the message of an error. */
export async function lastLines(path: string, count = 20): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  // a program in Go says why it panics, and then shows its stack
  const [said = ''] = text.split(/\n+goroutine \d+ \[/);
  return said.trimEnd().split('\n').slice(-count).join('\n');
}
