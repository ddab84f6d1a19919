/**
 * Runs one of the programs of this project. Reports a failure in one line without a stack trace, since the cause is
 * mostly a variable or a server. Then the process ends, whatever is still open: the native part of Temporal's SDK keeps
 * it alive if it has not come to a connection, and who operates it would wait for a process that does nothing.
 *
 * @param main may return the exit status
 * @param failure the exit status if it throws
 */
export async function runProgram(main: () => Promise<number | void>, failure = 1): Promise<void> {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(failure);
  }
}
