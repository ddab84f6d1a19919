import {
  fine,
  problem,
  summarize,
  warning,
  type CheckSourceInput,
  type CheckSourceResult,
  type Finding,
} from '../../contract/check-source.ts';
import { DatakitError, failurePolicies, type FailureKind } from '../../contract/failures.ts';
import type { Database } from '../../postgres/database.ts';
import type { Session } from '../../postgres/session.ts';
import { checkRoute } from './check-route.ts';
import { serverChecks } from './check-server.ts';
import { checkTables } from './check-tables.ts';
import { warehouseChecks } from './check-warehouse.ts';

export interface CheckedDatabases {
  readonly source: Database;
  readonly warehouse: Database;
  readonly signal?: AbortSignal;
}

/** Checks one aspect of a server, in a read-only transaction. */
type Check = (session: Session) => Promise<Finding | readonly Finding[]>;

/**
 * Checks whether runs can be expected to succeed: what the source and the warehouse are, what their roles may do, and
 * what stands in the way. Writes nothing.
 */
export async function checkSource(
  input: CheckSourceInput,
  { source, warehouse, signal }: CheckedDatabases,
): Promise<CheckSourceResult> {
  const [ofSource, ofWarehouse] = await Promise.all([
    reaching(source, signal, async () => [
      ...(await found('route', signal, async () => checkRoute(source, signal))),
      ...(await each(source, serverChecks, signal)),
      ...(await each(source, { tables: async (session) => checkTables(session, input.tables) }, signal)),
      ...(await found('clocks', signal, async () => compareClocks(source, warehouse, signal))),
    ]),
    reaching(warehouse, signal, async () => each(warehouse, warehouseChecks, signal)),
  ]);
  return summarize(input.source, [...ofSource, ...ofWarehouse]);
}

/** Reports just one finding for a server that cannot be reached. */
async function reaching(
  database: Database,
  signal: AbortSignal | undefined,
  look: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const connection = await checkConnection(database, signal);
  return connection.state === 'ok' ? [connection, ...(await look())] : [connection];
}

/** Checks whether a server can be reached, and whether it lets the role in. */
export async function checkConnection(database: Database, signal?: AbortSignal): Promise<Finding> {
  const check = `connection to the ${database.label}`;
  try {
    await ask(database, signal, async (session) => session.query('SELECT 1'));
    return fine(check, `reached at ${database.host}`);
  } catch (error) {
    signal?.throwIfAborted();
    return failed(check, error);
  }
}

/** Runs checks one after another, each in a transaction of its own, so that one failure does not affect the rest. */
async function each(
  database: Database,
  checks: Readonly<Record<string, Check>>,
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries(checks))
    findings.push(...(await found(name, signal, async () => ask(database, signal, check))));
  return findings;
}

/** Returns what a check finds; a check that fails is a finding, too. */
async function found(
  check: string,
  signal: AbortSignal | undefined,
  look: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await look()].flat();
  } catch (error) {
    signal?.throwIfAborted();
    return [failed(check, error)];
  }
}

async function ask<T>(
  database: Database,
  signal: AbortSignal | undefined,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const limits = {
    statementTimeout: 30_000,
    lockTimeout: 5_000,
    ...(signal !== undefined && { signal }),
  } as const;
  return database.read(limits, work);
}

function failed(check: string, error: unknown): Finding {
  const kind: FailureKind = error instanceof DatakitError ? error.kind : 'Unexpected';
  const message = error instanceof Error ? error.message : String(error);
  return problem(check, message, failurePolicies[kind].advice);
}

/** Milliseconds. Beyond this, timestamps in bronze are misleading. */
const CLOCK_TOLERANCE = 2_000;

async function compareClocks(
  source: Database,
  warehouse: Database,
  signal: AbortSignal | undefined,
): Promise<Finding> {
  const clock = async (database: Database) =>
    ask(database, signal, async (session) => {
      const before = Date.now();
      const { now } = await session.one<{ now: number }>(
        'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now',
      );
      return now - (before + Date.now()) / 2;
    });
  const [one, other] = [await clock(source), await clock(warehouse)];
  const apart = Math.round(Math.max(Math.abs(one), Math.abs(other), Math.abs(one - other)));
  if (apart <= CLOCK_TOLERANCE)
    return fine('clocks', `source, warehouse and worker agree within ${apart} ms`);
  return warning(
    'clocks',
    `source, warehouse and worker are up to ${Math.round(apart / 1000)} s apart`,
    'Synchronize all of them with the same time servers (NTP): timestamps in bronze come from their clocks.',
  );
}
