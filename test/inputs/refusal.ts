import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import { expect } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { activityAttemptsOf } from '../setup/activity-attempts.ts';
import type { ExtractHandle, Lab } from '../setup/lab.ts';
import { scheduledActivitiesOf } from '../setup/scheduled-activities.ts';

/** The value of every text column in these tests, which no message or history may contain. */
export const ROW_VALUE = 'row-value-7f3a';

const SECRETS = ['extractor-secret', 'loader-secret', 'wrong-secret', ROW_VALUE];

/**
 * Starts a run that must be refused and checks what every refusal must satisfy: nothing is tried twice, it has the right
 * kind, does not change bronze, leaves nothing behind and reveals no secret. Returns the message.
 */
export async function refusal(lab: Lab, request: object, kind: FailureKind): Promise<string> {
  const before = await bronzeState(lab);
  // people may send what the compiler would not allow
  const handle = await lab.start(request as ExtractTableRequest);
  const failure = await failureOf(handle);
  expect(failure.message).toMatch(/\S/);
  expect(failure.type, failure.message).toBe(kind);
  await expectOneAttempt(handle);
  expect(await bronzeState(lab)).toEqual(before);
  expect(await lab.leftoversAtLast()).toEqual([]);
  await expectNoSecrets(handle);
  return failure.message;
}

/** Returns the failure of a run, as the UI and the CLI show it. */
export async function failureOf(handle: ExtractHandle): Promise<ApplicationFailure> {
  const error: unknown = await handle.result().then(
    (result) => new Error(`the run was not refused: ${JSON.stringify(result)}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) return error.cause;
  throw error;
}

/** Checks that nothing was tried again, neither by Temporal nor by the workflow on another snapshot. */
async function expectOneAttempt(handle: ExtractHandle): Promise<void> {
  expect((await activityAttemptsOf(handle)).filter((attempt) => attempt > 1)).toEqual([]);
  const plans = (await scheduledActivitiesOf(handle)).filter((type) => type === 'planExtraction');
  expect(plans.length).toBeLessThan(2);
}

/** Searches the whole history: inputs, results, heartbeats and failures with their causes. */
export async function expectNoSecrets(handle: ExtractHandle): Promise<void> {
  const texts = [...textsOf(await handle.fetchHistory())];
  expect(texts).toContain('json/plain'); // payloads are bytes, so this shows that they were read
  expect(texts.filter((text) => SECRETS.some((secret) => text.includes(secret)))).toEqual([]);
}

function* textsOf(value: unknown): Iterable<string> {
  if (typeof value === 'string') yield value;
  else if (value instanceof Uint8Array) yield Buffer.from(value).toString();
  else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) yield* textsOf(part);
  }
}

/** Returns every relation that readers or runs could see, and the run whose rows it has. */
async function bronzeState(lab: Lab): Promise<unknown[]> {
  const { rows } = await lab.warehouse.query<Record<string, unknown>>(
    `SELECT c.oid, n.nspname, c.relname, c.relkind, c.relfilenode, c.relispartition
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname LIKE 'bronze%' ORDER BY c.oid`,
  );
  const targets = await lab.warehouse.query<Record<string, unknown>>(
    'SELECT * FROM bronze.extraction_targets ORDER BY target',
  );
  return [...rows, ...targets.rows];
}

/** Prepares a bronze table, which a refused run must not touch. */
export async function prepareOrders(lab: Lab): Promise<void> {
  await lab.source
    .query(`CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric(10,2), "Odd Name" text);
    INSERT INTO orders SELECT i, '${ROW_VALUE}', i, '${ROW_VALUE}' FROM generate_series(1, 100) i`);
  await lab.extract({ table: 'orders' });
}
