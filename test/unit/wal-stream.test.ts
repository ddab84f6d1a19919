import { Socket } from 'node:net';
import type { Connection } from 'pg';
import { expect, test } from 'vitest';
import { formatLsn, parseLsn } from '../../src/postgres/replication/lsn.ts';
import { WalStream } from '../../src/postgres/replication/wal-stream.ts';

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function xlogData(lsn: bigint, text: string): Buffer {
  const body = Buffer.alloc(25);
  body.write('w');
  body.writeBigUInt64BE(lsn, 1);
  return message('d', Buffer.concat([body, Buffer.from(text)]));
}

function keepalive(lsn: bigint): Buffer {
  const body = Buffer.alloc(18);
  body.write('k');
  body.writeBigUInt64BE(lsn, 1);
  return message('d', body);
}

/** However the network splits what the server sends, messages are the same, and the rest goes to the driver. */
test.each([1, 2, 3, 7, 26, 1000])('messages are whole in pieces of %i bytes', (size) => {
  const sent = Buffer.concat([
    message('W', Buffer.alloc(3)),
    xlogData(1n, 'first'),
    keepalive(2n),
    xlogData(3n, 'x'.repeat(100)),
    xlogData(4n, ''),
    message('E', Buffer.from('SERROR\0\0')),
    message('Z', Buffer.from('I')),
  ]);
  const seen: string[] = [];
  const driver: Buffer[] = [];
  const socket = new Socket();
  socket.on('data', (data: Buffer) => driver.push(data));
  const stream = new WalStream('START_REPLICATION', {
    onData: (buffer, from, to, lsn) => seen.push(`${lsn} ${buffer.toString('utf8', from, to)}`),
    onKeepalive: (end) => seen.push(`keepalive ${end}`),
    onPause: () => undefined,
    onEnd: () => undefined,
  });
  stream.submit({ stream: socket, query: () => undefined } as unknown as Connection);
  for (let at = 0; at < sent.length; at += size)
    socket.emit('data', Buffer.from(sent.subarray(at, at + size)));
  expect(seen).toEqual(['1 first', 'keepalive 2', `3 ${'x'.repeat(100)}`, '4 ']);
  expect(Buffer.concat(driver).toString('latin1', 0, 1)).toBe('E');
  expect(Buffer.concat(driver)).toHaveLength(message('E', Buffer.from('SERROR\0\0')).length + 6);
});

test('a message that is refused ends the stream, and what comes after it goes to nobody', () => {
  const ends: string[] = [];
  const driver: Buffer[] = [];
  const socket = new Socket();
  socket.on('data', (data: Buffer) => driver.push(data));
  const stream = new WalStream('START_REPLICATION', {
    onData: () => {
      throw new Error('refused');
    },
    onKeepalive: () => undefined,
    onPause: () => undefined,
    onEnd: ({ message: reason }) => ends.push(reason),
  });
  stream.submit({ stream: socket, query: () => undefined } as unknown as Connection);
  const sent = Buffer.concat([
    message('W', Buffer.alloc(3)),
    xlogData(1n, 'first'),
    xlogData(2n, 'x'.repeat(100)),
  ]);
  for (const part of [sent.subarray(0, 60), sent.subarray(60)]) socket.emit('data', Buffer.from(part));
  expect(ends).toEqual(['refused']);
  expect(driver).toEqual([]);
});

test('what is acknowledged need not be sent again or kept, and the server is asked how far it is', () => {
  const written: Buffer[] = [];
  const socket = new Socket();
  socket.on('data', () => undefined);
  socket.write = (data) => written.push(data as Buffer) > 0;
  const consumer = { onData: () => 0, onKeepalive: () => 0, onPause: () => 0, onEnd: () => 0 };
  const stream = new WalStream('START_REPLICATION', consumer);
  stream.submit({ stream: socket, query: () => undefined } as unknown as Connection);
  stream.acknowledge(7n);
  const body = Buffer.concat(written).subarray(5);
  expect(body.toString('latin1', 0, 1)).toBe('r');
  // written, flushed, applied: https://www.postgresql.org/docs/current/protocol-replication.html
  expect([1, 9, 17].map((offset) => body.readBigUInt64BE(offset))).toEqual([7n, 7n, 7n]);
  expect([body.length, body.at(-1)]).toEqual([34, 1]);
});

test('a start that is refused can be tried again', async () => {
  const socket = new Socket();
  socket.on('data', () => undefined);
  const consumer = { onData: () => 0, onKeepalive: () => 0, onPause: () => 0, onEnd: () => 0 };
  const stream = new WalStream('START_REPLICATION', consumer);
  const connection = { stream: socket, query: () => undefined } as unknown as Connection;
  const { started } = stream;
  stream.submit(connection);
  stream.handleError(new Error('the slot is active'));
  await expect(started).rejects.toThrow('the slot is active');
  const again = stream.started;
  stream.submit(connection);
  socket.emit('data', message('W', Buffer.alloc(3)));
  await expect(again).resolves.toBeUndefined();
});

test('positions are written as PostgreSQL writes them', () => {
  expect(formatLsn(parseLsn('16/B374D848'))).toBe('16/B374D848');
  expect(parseLsn('FFFFFFFF/FFFFFFFF')).toBe(2n ** 64n - 1n);
  expect(() => parseLsn('16')).toThrow('not a position');
});
