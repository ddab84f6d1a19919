import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort } from '../../local/free-port.ts';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { startTemporal, type TemporalServer } from '../../local/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../../local/worker-process.ts';
import { readTelemetry } from '../../src/config/telemetry.ts';
import { searchAttributes } from '../../src/contract/search-attributes.ts';
import { activityAttemptsOf } from '../setup/activity-attempts.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { remember } from '../setup/secrets.ts';
import { waitUntil } from '../setup/wait-until.ts';

let temporal: TemporalServer;
let lab: Lab;
let collector: Server;
const received = new Map<string, string[]>();

beforeAll(async () => {
  temporal = await startTemporal({ port: 17433 });
  lab = await Lab.open({ temporalAddress: temporal.address, workers: 'none' });
  await lab.source
    .query(`CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS token FROM generate_series(1, 20000) i;
    CREATE TABLE users AS SELECT 1 AS id; CREATE TABLE bad AS SELECT 1 AS _bronze_run_id;
    CREATE SCHEMA apart; CREATE TABLE apart.locked (id int)`);
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      received.set(path, [...(received.get(path) ?? []), Buffer.concat(chunks).toString('latin1')]);
      response.end();
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await lab.close();
  await temporal.dispose();
  collector.close();
});

async function withWorker(
  env: Readonly<Record<string, string>>,
  use: (worker: WorkerProcess, lines: readonly string[]) => Promise<void>,
): Promise<void> {
  const lines: string[] = [];
  const worker = await startWorkerProcess({
    env: { ...lab.workerEnvironment, ...env },
    entry: inject('worker'),
    onLine: (line) => lines.push(line),
  });
  try {
    await use(worker, lines);
  } finally {
    await worker.stop();
  }
}

/** Plans a run of a locked table. @returns the number of retries */
async function retries(): Promise<number> {
  const keeper = await lab.connect('source');
  await keeper.query('BEGIN; LOCK TABLE apart.locked IN ACCESS EXCLUSIVE MODE');
  const handle = await lab.start({ table: 'apart.locked', lockTimeout: '200 milliseconds' });
  await waitUntil(async () => {
    const { raw } = await handle.describe();
    return (raw.pendingActivities ?? []).some(({ attempt }) => (attempt ?? 0) > 1);
  });
  await keeper.query('ROLLBACK');
  await handle.result();
  return Math.max(...(await activityAttemptsOf(handle))) - 1;
}

/** Reads the metrics of a worker. @returns their text, and the sum of all series of a name */
async function readMetrics(address: string): Promise<{ text: string; value: (name: string) => number }> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  remember(text);
  const value = (name: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`))
      .map((line) => Number(line.split(' ').at(-1)))
      .reduce((sum, one) => sum + one, 0);
  return { text, value };
}

/** Captures two changes of a table of its own. @returns what is told while it does, and after it was cancelled */
async function tellsOfCapture(address: string) {
  const captures = await CaptureLab.open(lab);
  await lab.source.query('CREATE TABLE captured (id int PRIMARY KEY)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['captured'], slot });
  await captures.untilStreaming(handle);
  await lab.source.query('INSERT INTO captured VALUES (1), (2)');
  await captures.untilWritten(slot);
  // the source says what its slot holds back when it is asked for the first time, beside the stream
  await waitUntil(async () => {
    const { value } = await readMetrics(address);
    return value('datakit_changes_total') > 0 && value('datakit_slot_lag_bytes') > 0;
  });
  const told = async () => ({
    ...(await readMetrics(address)),
    attributes: await attributesOf(handle.workflowId),
  });
  const streaming = await told();
  const { memo } = await handle.describe();
  await captures.end(handle, slot);
  return { slot, memo, streaming, cancelled: await told() };
}

const attributesOf = async (workflowId: string) => {
  const { typedSearchAttributes } = await lab.temporal.workflow.getHandle(workflowId).describe();
  return Object.fromEntries(
    typedSearchAttributes
      .getAll()
      .filter(({ key }) => key.name.startsWith('Datakit'))
      .map(({ key, value }) => [key.name, value]),
  );
};

describe('a worker', () => {
  test('does without search attributes that the namespace does not have', { tags: 'long' }, async () => {
    const handle = await lab.startDatabase({ tables: ['users'] });
    await withWorker({}, async () => {
      await handle.result();
      expect(await attributesOf(handle.workflowId)).toEqual({});
    });
  });

  test(
    'counts rows, bytes, chunks, changes and failures for Prometheus, logs each chunk, and makes runs searchable',
    { timeout: 180_000 },
    async () => {
      const address = `127.0.0.1:${await freePort(9464)}`;
      const environment = { DATAKIT_METRICS_ADDRESS: address, DATAKIT_REGISTER_SEARCH_ATTRIBUTES: 'true' };
      await withWorker(environment, async (_worker, lines) => {
        const handle = await lab.start({ table: 'orders', chunkSize: '256kB' });
        const { rows, chunks } = await handle.result();
        await lab.extractDatabase({ tables: ['public.*'] });
        // a problem with one small table is not a failure of the activity that extracts many
        await lab.extract({ table: 'bad' }).catch(() => undefined);
        const retried = await retries();
        const { text: metrics, value } = await readMetrics(address);
        expect(value('datakit_rows_total')).toBe(2 * rows + 1);
        expect(value('datakit_chunks_total')).toBe(chunks + 3);
        expect(value('datakit_bytes_total')).toBeGreaterThan(rows);
        expect(value('datakit_tables_total')).toBe(4);
        expect(metrics).toMatch(/datakit_lag_seconds_count\{[^}]*source="default"/);
        expect(metrics).toMatch(/datakit_snapshot_age_seconds\{[^}]*source="default"/);

        expect(value('datakit_failures_total')).toBe(1 + retried);
        expect(metrics).toMatch(
          new RegExp(
            `^datakit_retries_total\\{activityType="planExtraction",kind="LockTimeout"[^}]*\\} ${retried}$`,
            'm',
          ),
        );
        expect(value('datakit_retries_total')).toBe(retried);

        const { slot, memo: memoOfCapture, streaming, cancelled } = await tellsOfCapture(address);
        expect(streaming.text).toMatch(
          new RegExp(`^datakit_changes_total\\{[^}]*slot="${slot}",source="default"[^}]*\\} 3$`, 'm'),
        );
        expect(streaming.value('datakit_streams')).toBe(1);
        expect(streaming.value('datakit_slot_lag_bytes')).toBeGreaterThan(0);
        expect(cancelled.value('datakit_changes_total')).toBe(streaming.value('datakit_changes_total'));
        for (const name of ['datakit_streams', 'datakit_slot_lag_bytes'])
          expect(cancelled.value(name)).toBe(0);

        expect(memoOfCapture).toEqual({ slot, source: 'default', mode: 'capture' });
        const described = { DatakitSource: 'default', DatakitMode: 'capture' };
        expect(streaming.attributes).toEqual({ ...described, DatakitPhase: 'streaming' });
        expect(cancelled.attributes).toEqual({ ...described, DatakitPhase: 'cancelled' });

        const dashboard = await readFile(join(PROJECT_ROOT, 'grafana/datakit-postgres.json'), 'utf8');
        const shown = new Set(dashboard.match(/(?:datakit|temporal)_[a-z_]+/g));
        shown.delete('datakit_postgres');
        expect(shown.size).toBeGreaterThan(6);
        expect([...shown].filter((name) => !streaming.text.includes(name))).toEqual([]);

        const copied = lines
          .map((line) => JSON.parse(line) as Record<string, unknown>)
          .filter(({ message, workflowId }) => message === 'copied' && workflowId === handle.workflowId);
        expect(copied).toHaveLength(chunks);
        expect(copied[0]).toMatchObject({
          source: 'default',
          table: 'public.orders',
          chunk: expect.any(Number) as number,
          rows: expect.any(Number) as number,
          runId: handle.firstExecutionRunId,
        });

        expect(await attributesOf(handle.workflowId)).toEqual({
          DatakitTable: 'public.orders',
          DatakitSource: 'default',
          DatakitMode: 'full',
          DatakitRows: rows,
          DatakitPhase: 'done',
        });
        const { memo } = await handle.describe();
        expect(memo).toEqual({ table: 'public.orders', source: 'default', mode: 'full' });
        await expect
          .poll(
            async () => {
              const found = [];
              const query = 'DatakitTable = "public.orders" AND DatakitPhase = "done"';
              for await (const { workflowId } of lab.temporal.workflow.list({ query }))
                found.push(workflowId);
              return found;
            },
            { timeout: 60_000 },
          )
          .toEqual([handle.workflowId]);
        expect(Object.keys(searchAttributes)).toHaveLength(5);
      });
    },
  );

  test('logs what the SDK says as it does everything else', { tags: 'long' }, async () => {
    const own = await startTemporal({});
    await withWorker({ TEMPORAL_ADDRESS: own.address }, async (_worker, lines) => {
      await own.dispose();
      await waitUntil(async () => lines.some((line) => /poll/i.test(line)), 60_000);
      const said = lines.map((line) => JSON.parse(line) as { readonly sdkComponent?: string });
      expect(said.map(({ sdkComponent }) => sdkComponent)).toContain('core');
    });
  });

  test('sends traces and metrics to an OpenTelemetry collector', { tags: 'long' }, async () => {
    const { port } = collector.address() as AddressInfo;
    await withWorker({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }, async () => {
      await lab.extract({ table: 'users' });
    });
    const traces = received.get('/v1/traces')?.join('') ?? '';
    remember(traces);
    expect(traces).toContain('RunWorkflow:extractTable');
    expect(traces).toContain('RunActivity:planExtraction');
    await expect.poll(() => received.get('/v1/metrics')?.length ?? 0, { timeout: 60_000 }).toBeGreaterThan(0);
  });
});

test.each([
  [
    { DATAKIT_METRICS_ADDRESS: '9464' },
    'DATAKIT_METRICS_ADDRESS: expected an address such as 127.0.0.1:9464',
  ],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, 'OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL'],
  [{ DATAKIT_REGISTER_SEARCH_ATTRIBUTES: 'yes' }, 'expected true or false'],
])('%j is refused', (environment, message) => {
  expect(() => readTelemetry(environment)).toThrow(message);
});
