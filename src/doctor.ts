import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
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
import { doctorReport } from './runtime/doctor-report.ts';

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
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5 seconds' });
    await connection.workflowService.describeNamespace({ namespace });
    await connection.close();
    return fine(
      'Temporal',
      `reached at ${connectionOptions.address ?? 'its default address'}, namespace "${namespace}"`,
    );
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return problem('Temporal', message, 'Check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS and API key.');
  }
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
