import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../local/free-port.ts';
import { startDevServer } from '../../local/temporal-process.ts';
import { startTemporal, type TemporalServer } from '../../local/temporal.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../../local/temporary-directory.ts';

async function withClient<Result>(
  address: string,
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

test('a dev server that finds no port for itself says so above its stack, and counts as one whose port is taken', async () => {
  const directory = await makeTemporaryDirectory('no-port');
  const cli = join(directory, 'temporal');
  const panic = `panic: failed assigning ephemeral port: dial tcp 127.0.0.1:1: connect: refused\n\ngoroutine 1 [running]:\n`;
  await writeFile(cli, `#!/bin/sh\nprintf '${panic}${'main.main()\n'.repeat(30)}' >&2; exit 2\n`, {
    mode: 0o755,
  });
  const plan = { cli, directory, databaseFile: join(directory, 'db'), temporary: true, namespace: 'default' };
  const started = startDevServer({
    ...plan,
    port: await freePort(),
    uiPort: undefined,
    searchAttributes: {},
    dynamicConfig: {},
  });
  await expect(started).rejects.toMatchObject({
    portInUse: true,
    message: expect.stringMatching(/:\npanic: failed assigning ephemeral port: .*refused$/) as string,
  });
  await removeTemporaryDirectory(directory);
});

// The first run on a machine fetches the executable.
describe('a Temporal dev server', () => {
  let inTheWay: Server;
  let temporal: TemporalServer;

  beforeAll(async () => {
    const port = await freePort();
    inTheWay = createServer().listen(port, '127.0.0.1');
    await once(inTheWay, 'listening');
    vi.stubEnv('http_proxy', 'http://127.0.0.1:1');
    temporal = await startTemporal({ port, ui: true, searchAttributes: { DatakitTable: 'Keyword' } });
    vi.unstubAllEnvs();
  }, 330_000);
  afterAll(async () => {
    await temporal.dispose();
    inTheWay.close();
  });

  test('steps over a port in use and serves the Web UI', async () => {
    const { port } = inTheWay.address() as { port: number };
    expect(temporal.address).not.toBe(`127.0.0.1:${port}`);
    expect((await fetch(temporal.uiUrl ?? '')).status).toBe(200);
  });

  test('has the search attributes', async () => {
    const { customAttributes } = await withClient(temporal.address, ({ connection }) =>
      connection.operatorService.listSearchAttributes({ namespace: temporal.namespace }),
    );
    expect(Object.keys(customAttributes)).toContain('DatakitTable');
  });

  test.each(['a stop', 'a SIGKILL'])('keeps address and workflows over %s', async (end) => {
    const { address, pid } = temporal;
    const started = { workflowId: end, taskQueue: 'nobody-polls' };
    await withClient(address, (client) => client.workflow.start('anything', started));
    if (end === 'a SIGKILL') process.kill(pid, 'SIGKILL');
    await temporal.stop();
    await temporal.start();
    expect([temporal.address, temporal.pid === pid]).toEqual([address, false]);
    const found = await withClient(address, (client) => client.workflow.getHandle(end).describe());
    expect(found.status.name).toBe('RUNNING');
  });
});
