import type { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { readEnvironment } from './config/environment.ts';
import {
  checkSourceExample,
  checkSourceInput,
  fine,
  problem,
  type Finding,
} from './contract/check-source.ts';
import { counted } from './contract/quantities.ts';
import { parseInput } from './contract/parse-input.ts';
import { checkSource } from './extraction/check/check-source.ts';
import { connectDatabases } from './runtime/connect-databases.ts';
import { connectProgram } from './runtime/connect-program.ts';
import { doctorReport } from './runtime/doctor-report.ts';
import { runProgram } from './runtime/run-program.ts';

const { TaskQueueType } = proto.temporal.api.enums.v1;

/**
 * `npm run doctor -- [table …]`: checks each source, the warehouse and Temporal as this environment configures them,
 * before the first run. Exits with 1 if a run would fail.
 */
async function main(tables: readonly string[]): Promise<number> {
  const configuration = readEnvironment(process.env);
  const databases = connectDatabases(configuration);
  let problems = 0;
  try {
    const temporal = await checkTemporal(configuration.taskQueue);
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

async function checkTemporal(taskQueue: string): Promise<Finding> {
  try {
    const { connection, address, namespace } = await connectProgram();
    try {
      const workers = await countWorkers(connection, namespace, taskQueue);
      return fine(
        'Temporal',
        `reached at ${address}, namespace "${namespace}", with ${workers} on the task queue "${taskQueue}"`,
      );
    } finally {
      await connection.close();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return problem('Temporal', message, 'Workers and commands need it.');
  }
}

/** Returns how many workers have lately asked for work: `no worker`, `2 workers`. */
async function countWorkers(
  { workflowService }: Connection,
  namespace: string,
  taskQueue: string,
): Promise<string> {
  const { pollers } = await workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  return pollers.length === 0 ? 'no worker' : counted(pollers.length, 'worker');
}

await runProgram(async () => main(process.argv.slice(2)), 2);
