import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Connection } from 'pg';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { CopyOut } from '../../src/postgres/copy-out.ts';

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Numbers that look random and are the same for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

/** Feeds bytes to a CopyOut as a socket would, in pieces of any size, and gives what came out and what was handed over. */
async function fed(pieces: readonly Buffer[]): Promise<{ data: Buffer; driver: Buffer }> {
  const socket = new PassThrough();
  const forDriver: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => forDriver.push(chunk));
  const copy = new CopyOut('COPY t TO STDOUT');
  copy.submit({ stream: socket, query: () => undefined } as unknown as Connection);
  const collected = buffer(copy);
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise(setImmediate);
  }
  copy.handleReadyForQuery();
  return { data: await collected, driver: Buffer.concat(forDriver) };
}

describe('CopyOut', () => {
  test('gives the data of every message and nothing else, wherever the socket cuts it', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const next = random(seed);
      const rows = Array.from({ length: next(200) + 1 }, () =>
        Buffer.alloc(next(seed % 5 === 0 ? 5000 : 40), next(256)),
      );
      const between = () =>
        next(20) === 0 ? message('NSA'.charAt(next(3)), Buffer.alloc(next(60), 'x')) : Buffer.alloc(0);
      const ending = Buffer.concat([message('C', Buffer.from('COPY 1\0')), message('Z', Buffer.from('I'))]);
      const bytes = Buffer.concat([
        message('H', Buffer.alloc(7)),
        ...rows.flatMap((row) => [message('d', row), between()]),
        message('c', Buffer.alloc(0)),
        ending,
      ]);
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const length = 1 + next(seed % 3 === 0 ? 7 : 3000);
        pieces.push(Buffer.from(bytes.subarray(at, at + length)));
        at += length;
      }
      const { data, driver } = await fed(pieces);
      expect(data.equals(Buffer.concat(rows)), `seed ${seed}`).toBe(true);
      expect(driver.equals(ending), `seed ${seed}`).toBe(true);
    }
  });
});

describe('CopyOut on a server', () => {
  let client: Client;
  beforeAll(async () => {
    client = new Client(inject('sourceAdmin'));
    client.on('error', () => undefined);
    await client.connect();
  });
  afterAll(async () => client.end());

  test('counts rows, passes over notices, and leaves the session as it was', async () => {
    await client.query(`CREATE OR REPLACE FUNCTION pg_temp.loud(i int) RETURNS int LANGUAGE plpgsql AS
      $$ BEGIN IF i % 10 = 0 THEN RAISE NOTICE 'ten more'; END IF; RETURN i; END $$`);
    const copy = client.query(
      new CopyOut('COPY (SELECT pg_temp.loud(i) FROM generate_series(1, 1000) i) TO STDOUT'),
    );
    const text = (await buffer(copy)).toString();
    expect(text).toBe(Array.from({ length: 1000 }, (_, i) => `${i + 1}\n`).join(''));
    expect(copy.rowCount).toBe(1000);
    expect((await client.query<{ n: number }>('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
  });

  test('passes a row of 100 MB', async () => {
    const copy = client.query(new CopyOut(`COPY (SELECT repeat('x', 100000000)) TO STDOUT`));
    let length = 0;
    for await (const chunk of copy) length += (chunk as Buffer).length;
    expect(length).toBe(100_000_001);
    expect(copy.rowCount).toBe(1);
  });

  test('waits for a slow reader', async () => {
    const copy = client.query(
      new CopyOut(`COPY (SELECT repeat('x', 1000) FROM generate_series(1, 50000)) TO STDOUT`),
    );
    let length = 0;
    let most = 0;
    for await (const chunk of copy) {
      most = Math.max(most, copy.readableLength);
      if (length % 7 === 0) await new Promise(setImmediate);
      length += (chunk as Buffer).length;
    }
    expect(length).toBe(50_000 * 1001);
    expect(most).toBeLessThan(1024 * 1024);
  });

  test('fails as the server does in the middle, and leaves the session usable', async () => {
    const copy = client.query(
      new CopyOut('COPY (SELECT 1 / (5000 - i) FROM generate_series(1, 10000) i) TO STDOUT'),
    );
    await expect(buffer(copy)).rejects.toMatchObject({ code: '22012' });
    expect((await client.query<{ n: number }>('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
  });

  test('fails when its session is ended', async () => {
    const other = new Client(inject('sourceAdmin'));
    other.on('error', () => undefined);
    await other.connect();
    const { rows } = await other.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const copy = other.query(
      new CopyOut('COPY (SELECT pg_sleep(0.01) FROM generate_series(1, 100000)) TO STDOUT'),
    );
    const failed = once(copy, 'error');
    setTimeout(() => void client.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]), 100);
    copy.resume();
    await expect(failed).resolves.toMatchObject([{ message: expect.stringMatching(/terminat/) as string }]);
  });

  test('passes over what comes after nobody reads any more', async () => {
    const other = new Client(inject('sourceAdmin'));
    other.on('error', () => undefined);
    await other.connect();
    const { rows } = await other.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const copy = other.query(
      new CopyOut(`COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT`),
    );
    await once(copy, 'readable');
    copy.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await client.query('SELECT pg_cancel_backend($1)', [rows[0]?.pid]);
    expect((await other.query<{ n: number }>('SELECT 2 AS n')).rows).toEqual([{ n: 2 }]);
    await other.end();
  });
});
