import { readFile } from 'node:fs/promises';
import { Connection, ScheduleClient } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { readEncryptionKeys } from './config/encryption-keys.ts';
import { withoutEmpty } from './config/without-empty.ts';
import { dataConverterOf } from './runtime/encryption-codec.ts';
import { commands } from './schedules/commands.ts';
import { readScheduleFile } from './schedules/schedule-file.ts';

const USAGE = 'Usage: npm run schedules -- apply|diff|delete [schedules.yaml]';

/** `npm run schedules`: applies, compares or deletes the schedules of a file, encrypted as the workers encrypt. */
async function main([name = '', path = 'schedules.yaml']: readonly string[]): Promise<void> {
  const command = name === 'apply' || name === 'diff' || name === 'delete' ? commands[name] : undefined;
  if (command === undefined) throw new Error(USAGE);
  const schedules = readScheduleFile(await readFile(path, 'utf8'));
  const dataConverter = dataConverterOf(readEncryptionKeys(withoutEmpty(process.env)));
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const connection = await Connection.connect(connectionOptions);
  try {
    const lines = await command(new ScheduleClient({ connection, namespace, dataConverter }), schedules);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    // like diff(1): exits with 1 if there are differences
    if (name === 'diff' && lines.length > 0) process.exitCode = 1;
  } finally {
    await connection.close();
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
