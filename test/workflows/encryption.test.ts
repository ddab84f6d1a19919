import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { Client } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import type { EncryptionKey } from '../../src/config/encryption-keys.ts';
import { createCodecServer } from '../../src/runtime/codec-server.ts';
import { dataConverterOf, EncryptionCodec } from '../../src/runtime/encryption-codec.ts';
import type { extractTable } from '../../src/workflows/index.ts';
import { Lab } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

const makeKey = (id: string): EncryptionKey => ({ id, key: randomBytes(32) });
const variable = (keys: readonly EncryptionKey[]): string =>
  keys.map(({ id, key }) => `${id}:${key.toString('base64')}`).join(',');

const [first, second] = [makeKey('2025'), makeKey('2026')];

const textOf = ([payload]: Payload[]): string => Buffer.from(payload?.data ?? []).toString();

describe('a payload', () => {
  const payload = defaultPayloadConverter.toPayload({ table: 'orders' });

  test('is not to be read without its key, nor to be changed', async () => {
    const [sealed] = await new EncryptionCodec([first]).encode([payload]);
    expect(Buffer.from(sealed?.data ?? []).includes('orders')).toBe(false);
    expect(textOf(await new EncryptionCodec([first]).decode([sealed as Payload]))).toBe('{"table":"orders"}');
    await expect(new EncryptionCodec([second]).decode([sealed as Payload])).rejects.toThrow(
      'This worker has no encryption key "2025"',
    );
    const impostor = { ...second, id: first.id };
    await expect(new EncryptionCodec([impostor]).decode([sealed as Payload])).rejects.toThrow(
      'A payload was not encrypted with the key "2025"',
    );
    const changed = Buffer.from(sealed?.data ?? []);
    changed[20] = (changed[20] ?? 0) ^ 1;
    await expect(new EncryptionCodec([first]).decode([{ ...sealed, data: changed }])).rejects.toThrow(
      'or was changed',
    );
  });

  test('is sealed differently each time', async () => {
    const codec = new EncryptionCodec([first]);
    const [one, other] = await codec.encode([payload, payload]);
    expect(one?.data).not.toEqual(other?.data);
  });

  test('of before there was encryption is read all the same', async () => {
    expect(await new EncryptionCodec([first]).decode([payload])).toEqual([payload]);
  });

  test('of an old key is read while the new one encrypts', async () => {
    const old = await new EncryptionCodec([first]).encode([payload]);
    const both = new EncryptionCodec([second, first]);
    expect(textOf(await both.decode(old))).toBe('{"table":"orders"}');
    await expect(new EncryptionCodec([first]).decode(await both.encode([payload]))).rejects.toThrow('"2026"');
  });
});

describe('runs whose payloads are encrypted', () => {
  let lab: Lab;
  let client: Client;
  beforeAll(async () => {
    lab = await Lab.open({ workers: 'none' });
    await lab.source.query(
      `CREATE TABLE confidential_orders AS SELECT i AS id, repeat('v', 100) AS v FROM generate_series(1, 3000) i`,
    );
    client = new Client({ connection: lab.temporal.connection, dataConverter: dataConverterOf([first]) });
  });
  afterAll(async () => lab.close());

  async function run(taskQueue: string, name: string): Promise<{ workflowId: string; rows: number }> {
    const workflowId = `${name}-${lab.name}`;
    const { rows } = await client.workflow.execute<typeof extractTable>('extractTable', {
      taskQueue,
      workflowId,
      args: [{ table: 'confidential_orders', target: name, chunkSize: '64kB' }],
    });
    return { workflowId, rows };
  }

  test('leave nothing to read in Temporal, but by the codec server', async () => {
    const stop = await lab.startWorkers({ environment: { DATAKIT_ENCRYPTION_KEYS: variable([first]) } });
    const { workflowId } = await run(lab.taskQueue, 'sealed');
    const failed = `failed-${lab.name}`;
    await expect(
      client.workflow.execute<typeof extractTable>('extractTable', {
        taskQueue: lab.taskQueue,
        workflowId: failed,
        args: [{ table: 'confidential_orders', where: 'confidential_column = 1' }],
      }),
    ).rejects.toMatchObject({ cause: { message: expect.stringContaining('confidential_column') as string } });
    await stop();
    expect(await shown(workflowId)).not.toContain('confidential_');
    const sealed = await shown(failed, '--output', 'json');
    expect(sealed).not.toMatch(/confidential_|at .*\.[tj]s:\d/);
    expect(failuresIn(sealed).readable).toEqual(new Set(['Encoded failure']));
    expect(failuresIn(sealed).encoded).not.toContain('confidential_');
    const server = createCodecServer({
      codec: new EncryptionCodec([second, first]),
      origin: 'http://localhost:8233',
      token: 'codec-token',
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const codec = ['--codec-endpoint', endpoint, '--codec-auth', 'Bearer codec-token'];
    expect(await shown(workflowId, ...codec)).toContain('confidential_orders');
    const { encoded } = failuresIn(await shown(failed, '--output', 'json', ...codec));
    expect(encoded).toMatch(/column \\"confidential_column\\" does not exist/);
    // of the activity and of the run itself
    expect(encoded).toMatch(/"stack_trace":".*run-activity\.ts/);
    expect(encoded).toMatch(/"stack_trace":".*workflows\/extract-table\.ts/);
    expect(await shown(failed, ...codec)).toContain('column "confidential_column" does not exist');
    const refused = await fetch(`${endpoint}/decode`, { method: 'POST', body: '{"payloads":[]}' });
    expect(refused.status).toBe(401);
    const asked = async (origin: string) => {
      const headers = { origin, authorization: 'Bearer codec-token' };
      const { status, headers: got } = await fetch(`${endpoint}/decode`, {
        method: 'POST',
        headers,
        body: '{"payloads":[]}',
      });
      return [status, got.get('access-control-allow-origin')];
    };
    expect(await asked('http://localhost:8233')).toEqual([200, 'http://localhost:8233']);
    expect(await asked('http://127.0.0.1:8233')).toEqual([200, 'http://127.0.0.1:8233']);
    expect(await asked('http://127.0.0.1:8234')).toEqual([403, null]);
    expect(await asked('http://127.0.0.1.example.com:8233')).toEqual([403, null]);
    const preflight = await fetch(`${endpoint}/decode`, { method: 'OPTIONS' });
    expect(preflight.headers.get('access-control-allow-origin')).toBe('http://localhost:8233');
    server.close();
  });

  /** Extracts the failures in the JSON of a history: plain texts, and encoded payloads. */
  function failuresIn(history: string): { readable: Set<string>; encoded: string } {
    const readable = new Set<string>();
    const encoded: string[] = [];
    JSON.parse(history, (_key, value: unknown): unknown => {
      if (typeof value !== 'object' || value === null || !('encodedAttributes' in value)) return value;
      const { message, stackTrace, encodedAttributes } = value as Readonly<Record<string, unknown>>;
      for (const text of [message, stackTrace]) if (typeof text === 'string') readable.add(text);
      const { data } = encodedAttributes as { data: string };
      encoded.push(Buffer.from(data, 'base64').toString());
      return value;
    });
    return { readable, encoded: encoded.join('\n') };
  }

  async function shown(workflowId: string, ...more: string[]): Promise<string> {
    const address = ['--address', inject('temporalAddress')];
    const { stdout } = await promisify(execFile)(
      inject('temporalCli'),
      ['workflow', 'show', '--workflow-id', workflowId, '--detailed', ...address, ...more],
      { maxBuffer: 64 * 1024 * 1024 },
    );
    return stdout;
  }

  test('go on under a new key, with what the old one encrypted', { tags: 'long' }, async () => {
    const environment = { DATAKIT_ENCRYPTION_KEYS: variable([second, first]) };
    const stop = await lab.startWorkers({ environment });
    client = new Client({
      connection: lab.temporal.connection,
      dataConverter: dataConverterOf([first, second]),
    });
    expect((await run(lab.taskQueue, 'rotated')).rows).toBe(3000);
    await stop();
  });

  test(
    'are not taken to have ended by workers that lack their key, and are cleaned up once they have',
    { tags: 'long' },
    async () => {
      const environment = (key: EncryptionKey) => ({ DATAKIT_ENCRYPTION_KEYS: variable([key]) });
      const start = async (key: EncryptionKey, name: string, request: ExtractTableRequest) =>
        new Client({
          connection: lab.temporal.connection,
          dataConverter: dataConverterOf([key]),
        }).workflow.start<typeof extractTable>('extractTable', {
          taskQueue: lab.taskQueue,
          workflowId: `${name}-${lab.name}`,
          args: [request],
        });
      const stop = await lab.startWorkers({ environment: environment(first) });
      const request = { table: 'confidential_orders', target: 'lost_key' };
      const before = await start(first, 'before', { ...request, chunkSize: '64kB', consistency: 'none' });
      await before.signal('pause');
      await waitUntil(
        async () => (await described(before)).workflowExecutionInfo?.memo?.fields?.table != null,
      );
      await stop();
      await lab.startWorkers({ environment: environment(second) });
      const after = await start(second, 'after', request);
      await waitUntil(async () => ((await described(after)).pendingActivities?.[0]?.attempt ?? 0) > 1);
      expect(await statuses()).toEqual([{ workflow_id: before.workflowId, status: 'running' }]);
      await before.terminate();
      expect(await after.result()).toMatchObject({ rows: 3000 });
      expect(await statuses()).toEqual([
        { workflow_id: after.workflowId, status: 'committed' },
        { workflow_id: before.workflowId, status: 'cancelled' },
      ]);
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );

  const described = async ({ workflowId }: { readonly workflowId: string }) =>
    lab.temporal.workflowService.describeWorkflowExecution({
      namespace: 'default',
      execution: { workflowId },
    });

  async function statuses(): Promise<unknown[]> {
    const { rows } = await lab.warehouse.query(
      `SELECT workflow_id, status FROM bronze.extraction_runs WHERE target = 'lost_key' ORDER BY 1`,
    );
    return rows;
  }
});
