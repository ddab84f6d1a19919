import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Client } from 'pg';
import { applicationName } from '../../src/postgres/application-name.ts';
import { CopyIn } from '../../src/postgres/copy/copy-in.ts';
import { pipeCopy, type OnBytes } from '../../src/postgres/copy/copy-pipe.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { waitUntil } from '../setup/wait-until.ts';

const options = { run: `copy test ${process.pid}` };

let source: Database;
let warehouse: Database;
let admin: Client;
beforeAll(async () => {
  source = new Database({ label: 'source "default"', settings: connectionTo(inject('sourceAdmin')) });
  warehouse = new Database({ label: 'warehouse', settings: connectionTo(inject('warehouseAdmin')) });
  admin = new Client(inject('warehouseAdmin'));
  await admin.connect();
  await admin.query('CREATE TABLE copied (id int, v text)');
});
afterAll(async () => {
  await admin.query('DROP TABLE copied');
  await Promise.all([source.close(), warehouse.close(), admin.end()]);
});

interface Copy {
  readonly select: string;
  readonly into?: string;
  readonly format?: 'binary' | 'text';
  readonly signal?: AbortSignal;
  readonly onProgress?: OnBytes;
}

async function copy({ select, into = 'public.copied', format = 'binary', signal, onProgress }: Copy) {
  const limits = signal === undefined ? options : { ...options, signal };
  return source.write(limits, async (reading) =>
    warehouse.write(limits, async (writing) =>
      pipeCopy({
        source: {
          session: reading,
          statement: `COPY (${select}) TO STDOUT (FORMAT ${format})`,
        },
        target: {
          session: writing,
          statement: `COPY ${into} FROM STDIN (FORMAT ${format})`,
        },
        ...(onProgress !== undefined && { onProgress }),
      }),
    ),
  );
}

/** Rows that are generated while they are sent. */
const rows = (count: number, value: string) =>
  `SELECT i, ${value} FROM (SELECT generate_series(1, ${count}) AS i) AS made`;

async function digest(): Promise<unknown> {
  const { rows: found } = await admin.query(
    `SELECT count(*)::int AS rows, sum(hashtext(format('%s %L', id, v)))::text AS sum FROM copied`,
  );
  await admin.query('TRUNCATE copied');
  return found[0];
}

test('a COPY to the warehouse that fails here is given up there too, which waits for data', async () => {
  await warehouse.write(options, async (session) => {
    const failing = session.copy(new CopyIn('COPY public.copied FROM STDIN'), async (writing) => {
      await writing.ready;
      throw new Error('no more');
    });
    await expect(failing).rejects.toThrow('no more');
    await session.answered(3_000);
    expect(session.isBusy).toBe(false);
  });
});

describe('a COPY from server to server', () => {
  const shapes = [
    ['no rows', rows(0, "'x'")],
    ['one row', rows(1, "'x'")],
    [
      'rows of every length up to some blocks, so that messages end anywhere in a buffer',
      rows(3_000, "repeat('x', i * 3)"),
    ],
    ['many short rows', rows(100_000, 'NULL::text')],
    ['rows larger than all buffers', rows(2, 'repeat(i::text, 8000000)')],
  ] as const;
  for (const format of ['binary', 'text'] as const) {
    test.each(shapes)(`brings %s, in ${format}`, async (_, select) => {
      const copied = await copy({ select, format });
      const { rows: expected } = await admin.query<{ rows: number }>(
        `SELECT count(*)::int AS rows, sum(hashtext(format('%s %L', id, v)))::text AS sum FROM (${select}) AS s(id, v)`,
      );
      expect(copied.rows).toBe(expected[0]?.rows);
      expect(await digest()).toEqual(expected[0]);
    });
  }

  test('brings all rows in order where some of their data has to wait', async () => {
    const select = rows(3_000, "repeat('x', i)");
    const pauses = [20, undefined, 20, 1];
    let buffers = 0;
    const onProgress = () => {
      const pause = pauses[buffers % pauses.length];
      buffers += 1;
      return pause === undefined ? undefined : sleep(pause);
    };
    const copied = await copy({ select, format: 'text', onProgress });
    expect(copied.rows).toBe(3_000);
    const { rows: expected } = await admin.query(
      `SELECT count(*)::int AS rows, sum(hashtext(format('%s %L', id, v)))::text AS sum FROM (${select}) AS s(id, v)`,
    );
    expect(await digest()).toEqual(expected[0]);
  });

  test('fails with what the source said, and the warehouse keeps nothing', async () => {
    const failing = copy({ select: rows(100_000, '(1 / (i - 50000))::text') });
    await expect(failing).rejects.toThrow(/^source "default": .*22012/);
    expect(await digest()).toMatchObject({ rows: 0 });
  });

  test('fails with what the warehouse said, and the source stops', async () => {
    const hangs = `CASE WHEN i < 1000 THEN repeat('x', 1000) ELSE pg_sleep(3600)::text END`;
    const failing = copy({ select: rows(1_000, `${hangs}, 'one too many'`) });
    await expect(failing).rejects.toThrow(/^warehouse: /);
    expect(await digest()).toMatchObject({ rows: 0 });
    await expect(copy({ select: rows(1, "'x'"), into: 'not_there' })).rejects.toThrow(/^warehouse: .*42P01/);
  });

  test('fails where the warehouse took fewer rows than the source sent, which a trigger there can do', async () => {
    await admin.query(`CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$;
      CREATE TRIGGER leave_out BEFORE INSERT ON copied FOR EACH ROW EXECUTE FUNCTION leave_out()`);
    await expect(copy({ select: rows(3, "'x'") })).rejects.toMatchObject({
      kind: 'CountMismatch',
      message: 'The source sent 3 rows and the warehouse took 2',
    });
    await admin.query('DROP FUNCTION leave_out CASCADE');
    expect(await digest()).toMatchObject({ rows: 0 });
  });

  test('ends on both servers when it is aborted', async () => {
    const cancelling = new AbortController();
    const working = copy({
      select: rows(100_000_000, "repeat('x', 100)"),
      signal: cancelling.signal,
      onProgress: (bytes) => {
        if (bytes > 1_000_000) cancelling.abort(new Error('stop'));
      },
    });
    await expect(working).rejects.toThrow('stop');
    const sessions = async () => {
      const server = new Client(inject('sourceAdmin'));
      await server.connect();
      const question = `SELECT FROM pg_stat_activity WHERE application_name = '${applicationName(options.run)}' AND state <> 'idle'`;
      const found = await Promise.all([server.query(question), admin.query(question)]);
      await server.end();
      return found.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
    };
    await waitUntil(async () => (await sessions()) === 0);
    expect(await digest()).toMatchObject({ rows: 0 });
  });

  test('leaves both sessions fit for the next', async () => {
    await source.write(options, async (reading) =>
      warehouse.write(options, async (writing) => {
        for (const id of [1, 2, 3]) {
          await pipeCopy({
            source: { session: reading, statement: `COPY (SELECT ${id}, 'x') TO STDOUT` },
            target: { session: writing, statement: 'COPY public.copied FROM STDIN' },
          });
          expect(await reading.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
        }
      }),
    );
    expect(await digest()).toMatchObject({ rows: 3 });
  });

  test('holds no more in memory than its buffers, when the warehouse is slow', { tags: 'long' }, async () => {
    await admin.query(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.id % 2000 = 0 THEN PERFORM pg_sleep(0.02); END IF; RETURN NEW; END $$;
      CREATE TRIGGER slow BEFORE INSERT ON copied FOR EACH ROW EXECUTE FUNCTION slow()`);
    global.gc?.();
    const before = process.memoryUsage().rss;
    let most = 0;
    await copy({
      select: rows(30_000, "repeat('x', 5000)"),
      onProgress: () => {
        most = Math.max(most, process.memoryUsage().rss - before);
      },
    });
    await admin.query('DROP FUNCTION slow CASCADE; TRUNCATE copied');
    expect(most).toBeLessThan(60_000_000);
  });
});
