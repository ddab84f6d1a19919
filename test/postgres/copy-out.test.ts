import { PassThrough } from 'node:stream';
import type { Connection } from 'pg';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { CopyOut } from '../../src/postgres/copy/copy-out.ts';
import { LendingSocket } from '../../src/postgres/copy/lending-socket.ts';
import { waitUntil } from '../setup/wait-until.ts';

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Returns a generator of reproducible pseudo-random numbers. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

/** A COPY whose data is collected; its memory is given back a little later and overwritten at once. */
function collecting(statement: string): { copy: CopyOut; collected: Buffer[] } {
  const collected: Buffer[] = [];
  const copy = new CopyOut(statement, (data, giveBack) => {
    collected.push(Buffer.from(data));
    setImmediate(() => {
      data.fill(0);
      giveBack();
    });
  });
  return { copy, collected };
}

/** Feeds bytes to a CopyOut like a socket, in pieces, and returns its data and what it left to the driver. */
async function fed(pieces: readonly Buffer[]): Promise<{ data: Buffer; driver: Buffer }> {
  const socket = new PassThrough();
  const forDriver: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => forDriver.push(chunk));
  const { copy, collected } = collecting('COPY t TO STDOUT');
  copy.submit({ stream: socket, query: () => undefined } as unknown as Connection);
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise(setImmediate);
  }
  copy.handleReadyForQuery();
  await copy.rows;
  return { data: Buffer.concat(collected), driver: Buffer.concat(forDriver) };
}

describe('CopyOut', () => {
  test('gives the data of every message and nothing else, wherever the socket cuts it', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const next = random(seed);
      // tiny pieces are numerous, so they are of fewer rows
      const inPiecesOf = seed % 3 === 0 ? 7 : 3000;
      const rows = Array.from({ length: next(inPiecesOf === 7 ? 20 : 200) + 1 }, () =>
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
        const length = 1 + next(inPiecesOf);
        pieces.push(Buffer.from(bytes.subarray(at, at + length)));
        at += length;
      }
      const { data, driver } = await fed(pieces);
      expect(data.equals(Buffer.concat(rows)), `seed ${seed}`).toBe(true);
      expect(driver.equals(ending), `seed ${seed}`).toBe(true);
    }
  });
});

describe.each([
  ['that lends its memory', () => new LendingSocket()],
  ['of the driver', undefined],
] as const)('CopyOut on a socket %s', (_, stream) => {
  const connect = async (): Promise<Client> => {
    const opened = new Client({ connectionString: inject('sourceAdmin'), ...(stream && { stream }) });
    opened.on('error', () => undefined);
    await opened.connect();
    return opened;
  };
  const pidOf = async (session: Client): Promise<number> => {
    const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid ?? Number.NaN;
  };
  const further = { tags: stream === undefined ? ['long'] : [] };
  let client: Client;
  beforeAll(async () => (client = await connect()));
  afterAll(async () => client.end());
  const stillAnswers = async (session = client) =>
    expect((await session.query<{ n: number }>('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);

  test('counts rows, passes over notices, and leaves the session as it was', async () => {
    await client.query(`CREATE OR REPLACE FUNCTION pg_temp.loud(i int) RETURNS int LANGUAGE plpgsql AS
      $$ BEGIN IF i % 10 = 0 THEN RAISE NOTICE 'ten more'; END IF; RETURN i; END $$`);
    const { copy, collected } = collecting(
      'COPY (SELECT pg_temp.loud(i) FROM generate_series(1, 1000) i) TO STDOUT',
    );
    expect(await client.query(copy).rows).toBe(1000);
    expect(Buffer.concat(collected).toString()).toBe(
      Array.from({ length: 1000 }, (_row, i) => `${i + 1}\n`).join(''),
    );
    await stillAnswers();
  });

  test('leaves what the server answers to other statements whole, however long it is', async () => {
    const { rows } = await client.query<{ text: string }>(
      `SELECT repeat(i::text, 1000) AS text FROM generate_series(100, 400) i`,
    );
    expect(rows.map(({ text }) => text)).toEqual(
      Array.from({ length: 301 }, (_row, i) => String(100 + i).repeat(1_000)),
    );
  });

  test('passes a row of 8 MB, in order', further, async () => {
    let length = 0;
    let wrong = 0;
    const copy = new CopyOut(
      `COPY (SELECT string_agg(lpad(i::text, 10), '') FROM generate_series(0, 799999) i) TO STDOUT`,
      (data, giveBack) => {
        // every tenth byte is the last digit of the number it ends
        for (let at = (9 - (length % 10) + 10) % 10; at < data.length; at += 10) {
          const number = Math.floor((length + at) / 10);
          if (number < 800_000 && data[at] !== 48 + (number % 10)) wrong += 1;
        }
        length += data.length;
        setImmediate(giveBack);
      },
    );
    expect(await client.query(copy).rows).toBe(1);
    expect({ length, wrong }).toEqual({ length: 8_000_001, wrong: 0 });
  });

  test('does not read on while two buffers are in use', async () => {
    let inUse = 0;
    let most = 0;
    let length = 0;
    const copy = new CopyOut(
      `COPY (SELECT repeat('x', 1000) FROM generate_series(1, 50000)) TO STDOUT`,
      (data, giveBack) => {
        length += data.length;
        most = Math.max(most, (inUse += 1));
        setTimeout(() => {
          inUse -= 1;
          giveBack();
        }, 1);
      },
    );
    await client.query(copy).rows;
    expect({ length, most }).toEqual({ length: 50_000 * 1001, most: 2 });
  });

  test('fails as the server does in the middle, and leaves the session usable', async () => {
    const { copy } = collecting('COPY (SELECT 1 / (5000 - i) FROM generate_series(1, 10000) i) TO STDOUT');
    await expect(client.query(copy).rows).rejects.toMatchObject({ code: '22012' });
    await stillAnswers();
  });

  test('fails when its session is ended, even while nothing is read', async () => {
    const other = await connect();
    const pid = await pidOf(other);
    const { copy } = collecting('COPY (SELECT pg_sleep(0.01) FROM generate_series(1, 100000)) TO STDOUT');
    const { rows } = other.query(copy);
    await client.query('SELECT pg_terminate_backend($1)', [pid]);
    await expect(rows).rejects.toThrow(/terminat/);
  });

  test('passes over what comes after nobody wants any more', further, async () => {
    const other = await connect();
    const pid = await pidOf(other);
    let used = 0;
    const copy = new CopyOut(
      `COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT`,
      () => (used += 1), // and gives nothing back
    );
    const { rows } = other.query(copy);
    await waitUntil(async () => Promise.resolve(used === 2));
    copy.discard();
    await client.query('SELECT pg_cancel_backend($1)', [pid]);
    await expect(rows).rejects.toMatchObject({ code: '57014' });
    expect(used).toBe(2);
    await stillAnswers(other);
    await other.end();
  });
});
