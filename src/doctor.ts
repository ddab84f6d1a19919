import { Connection } from '@temporalio/client';
import { readEnvironment } from './config/environment.ts';
import {
  checkSourceExample,
  checkSourceInput,
  fine,
  problem,
  type Finding,
} from './contract/check-source.ts';
import { parseInput } from './contract/parse-input.ts';
import { checkSource } from './extraction/check/check-source.ts';
import { connectDatabases } from './runtime/connect-databases.ts';
import { connectTemporal } from './runtime/connect-temporal.ts';
import { doctorReport } from './runtime/doctor-report.ts';
import { runProgram } from './runtime/run-program.ts';

/**
 * `npm run doctor -- [table …]`: checks each source, the warehouse and Temporal as this environment configures them,
 * before the first run. Exits with 1 if a run would fail.
 */
async function main(tables: readonly string[]): Promise<number> {
  const databases = connectDatabases(readEnvironment(process.env));
  let problems = 0;
  try {
    const temporal = await checkTemporal();
    for (const source of databases.sources) {
      const request = { source, ...(tables.length > 0 && { tables: [...tables] }) };
      const input = parseInput(checkSourceInput, request, checkSourceExample);
      const result = await checkSource(input, {
        source: databases.sourceNamed(source),
        warehouse: databases.warehouse,
      });
      problems += result.problems;
      process.stdout.write(`${doctorReport(result)}\n`);
    }
    process.stdout.write(
      `Temporal: ${temporal.found}${temporal.advice === undefined ? '' : ` → ${temporal.advice}`}\n`,
    );
    if (temporal.state === 'problem') problems += 1;
  } finally {
    await databases.close();
  }
  return problems === 0 ? 0 : 1;
}

async function checkTemporal(): Promise<Finding> {
  try {
    const { connection, address, namespace } = await connectTemporal(async (options) =>
      Connection.connect(options),
    );
    await connection.close();
    return fine('Temporal', `reached at ${address}, namespace "${namespace}"`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return problem('Temporal', message, 'Workers and commands need it.');
  }
}

await runProgram(async () => main(process.argv.slice(2)), 2);
