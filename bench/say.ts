/** Benchmarks tell people how far they are, line by line. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
