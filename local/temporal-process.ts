import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { withoutProxyOnLoopback } from '../src/runtime/direct-connection.ts';
import { canConnect } from './can-connect.ts';
import { lastLines, withLogFile } from './log-file.ts';
import { withoutTemporal } from './temporal-environment.ts';
import { spawnTethered, type Tethered } from './tether.ts';

export interface DevServerPlan {
  readonly cli: string;
  /** Holds the server's log and stands in for its home directory. */
  readonly directory: string;
  readonly databaseFile: string;
  /** Set if the state need not survive a crash of the machine. */
  readonly temporary: boolean;
  readonly namespace: string;
  readonly port: number;
  /** Undefined: no Web UI. */
  readonly uiPort: number | undefined;
  readonly searchAttributes: Readonly<Record<string, string>>;
  readonly dynamicConfig: Readonly<Record<string, string | number | boolean>>;
}

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 10_000;

/** The dev server failed to start; the message contains the end of its log. */
export class TemporalStartError extends Error {
  override readonly name = 'TemporalStartError';

  /** True for a port it was given as well as for one it chose itself. */
  get portInUse(): boolean {
    return /address already in use|port \d+ is (already )?in use|failed assigning ephemeral port/i.test(
      this.message,
    );
  }
}

/** Starts a dev server and waits until its namespace answers. */
export async function startDevServer(plan: DevServerPlan): Promise<Tethered> {
  const log = join(plan.directory, 'server.log');
  const server = await withLogFile(log, (output) =>
    spawnTethered(plan.cli, commandLine(plan), { output, cwd: plan.directory, env: environment(plan) }),
  );
  if (await becomesReady(server, plan)) return server;
  server.signal('SIGKILL');
  throw new TemporalStartError(`Temporal did not start on port ${plan.port}:\n${await lastLines(log)}`);
}

export async function stopDevServer(server: Tethered): Promise<void> {
  server.signal('SIGTERM');
  const late = setTimeout(() => server.signal('SIGKILL'), STOP_WITHIN_MS);
  await server.exited;
  clearTimeout(late);
}

function commandLine(plan: DevServerPlan): string[] {
  return [
    'server',
    'start-dev',
    '--ip=127.0.0.1',
    `--port=${plan.port}`,
    plan.uiPort === undefined ? '--headless' : `--ui-port=${plan.uiPort}`,
    `--namespace=${plan.namespace}`,
    `--db-filename=${plan.databaseFile}`,
    '--log-level=error',
    // Deleting the journal with every transaction would cost the server a third of its CPU.
    '--sqlite-pragma=journal_mode=WAL',
    // Twice as fast, and still complete after a SIGKILL: only a crash of the machine loses anything.
    ...(plan.temporary ? ['--sqlite-pragma=synchronous=OFF'] : []),
    ...pairs('--search-attribute', plan.searchAttributes),
    ...pairs('--dynamic-config-value', mapValues(plan.dynamicConfig, JSON.stringify)),
  ];
}

function pairs(flag: string, values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
}

function mapValues<Value>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

/** Shields our server from the user's Temporal profile and from variables meant for clients. */
function environment(plan: DevServerPlan): NodeJS.ProcessEnv {
  return { ...withoutTemporal(process.env), HOME: plan.directory, XDG_CONFIG_HOME: plan.directory };
}

async function becomesReady(server: Tethered, plan: DevServerPlan): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (server.running && Date.now() < deadline) {
    // A gRPC channel that was refused waits a second before it retries; a plain socket does not.
    if ((await canConnect(plan.port)) && (await namespaceAnswers(plan))) return server.running;
    await sleep(20);
  }
  return false;
}

async function namespaceAnswers({ port, namespace }: DevServerPlan): Promise<boolean> {
  const connection = Connection.lazy(withoutProxyOnLoopback({ address: `127.0.0.1:${port}` }));
  try {
    await connection.withDeadline(Date.now() + 2_000, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
    return true;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}
