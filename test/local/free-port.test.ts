import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, releasePort } from '../../local/free-port.ts';

test('a port in use is stepped over', async () => {
  const inUse = createServer().listen(await freePort(), '127.0.0.1');
  await once(inUse, 'listening');
  const { port } = inUse.address() as AddressInfo;
  releasePort(port);
  expect(await freePort(port)).toBeGreaterThan(port);
  inUse.close();
});

test('a port in use on every interface is stepped over', async () => {
  const inUse = createServer().listen(await freePort());
  await once(inUse, 'listening');
  const { port } = inUse.address() as AddressInfo;
  releasePort(port);
  expect(await freePort(port)).toBeGreaterThan(port);
  inUse.close();
});

test('the same port is not given twice, until it is released', async () => {
  const first = await freePort();
  expect(await freePort(first)).toBeGreaterThan(first);
  releasePort(first);
  expect(await freePort(first)).toBe(first);
});
