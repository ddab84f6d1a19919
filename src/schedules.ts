import { readFile } from 'node:fs/promises';
import { ScheduleClient } from '@temporalio/client';
import { readEncryptionKeys } from './config/encryption-keys.ts';
import { withoutEmpty } from './config/variables.ts';
import { InputError } from './contract/parse-input.ts';
import { connectProgram } from './runtime/connect-program.ts';
import { dataConverterOf } from './runtime/encryption-codec.ts';
import { runProgram } from './runtime/run-program.ts';
import { commands } from './schedules/commands.ts';
import { readScheduleFile, type Schedule } from './schedules/schedule-file.ts';

const USAGE = 'Usage: npm run schedules -- apply|diff|delete [schedules.yaml …]';

/** `npm run schedules`: applies, compares or deletes the schedules of files, encrypted as the workers encrypt. */
async function main([name = '', ...paths]: readonly string[]): Promise<number> {
  const command = name === 'apply' || name === 'diff' || name === 'delete' ? commands[name] : undefined;
  if (command === undefined) throw new Error(USAGE);
  const schedules = await readFiles(paths.length === 0 ? ['schedules.yaml'] : paths);
  const dataConverter = dataConverterOf(readEncryptionKeys(withoutEmpty(process.env)));
  const { connection, namespace } = await connectProgram();
  try {
    const lines = await command(new ScheduleClient({ connection, namespace, dataConverter }), schedules);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    // like diff(1): exits with 1 if there are differences
    return name === 'diff' && lines.length > 0 ? 1 : 0;
  } finally {
    await connection.close();
  }
}

async function readFiles(paths: readonly string[]): Promise<ReadonlyMap<string, Schedule>> {
  const all = new Map<string, Schedule>();
  for (const path of paths) {
    for (const [id, schedule] of await readOne(path)) {
      if (all.has(id)) throw new InputError(`${path}: schedules.${id}: is in another of these files too`);
      all.set(id, schedule);
    }
  }
  return all;
}

async function readOne(path: string): Promise<ReadonlyMap<string, Schedule>> {
  try {
    return readScheduleFile(await readFile(path, 'utf8'));
  } catch (error) {
    throw error instanceof InputError ? new InputError(`${path}: ${error.message}`, { cause: error }) : error;
  }
}

await runProgram(async () => main(process.argv.slice(2)), 2);
