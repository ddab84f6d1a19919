import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Connection, ScheduleClient } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { startTemporal, type TemporalServer } from '../../local/temporal.ts';
import { dataConverterOf } from '../../src/runtime/encryption-codec.ts';
import { commands } from '../../src/schedules/commands.ts';
import { readScheduleFile } from '../../src/schedules/schedule-file.ts';

const execute = promisify(execFile);

let temporal: TemporalServer;
let connection: Connection;
let schedules: ScheduleClient;
let directory: string;
beforeAll(async () => {
  temporal = await startTemporal({ port: 17333 });
  connection = await Connection.connect({ address: temporal.address });
  schedules = new ScheduleClient({ connection });
  directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-schedules-'));
});
afterAll(async () => {
  await connection.close();
  await temporal.dispose();
  await rm(directory, { recursive: true });
});

/** Runs the command of `npm run schedules` in this process. */
async function told(
  command: keyof typeof commands,
  path: string,
  client = schedules,
): Promise<readonly string[]> {
  return commands[command](client, readScheduleFile(await readFile(path, 'utf8')));
}

const run = async (command: string, ...paths: readonly string[]) => runWith({}, command, ...paths);

async function runWith(
  variables: Readonly<Record<string, string>>,
  command: string,
  ...paths: readonly string[]
): Promise<{ lines: string[]; code: number }> {
  const program = [join(dirname(inject('worker')), 'schedules.js'), command, ...paths];
  const env = { ...process.env, TEMPORAL_ADDRESS: temporal.address, ...variables };
  try {
    const { stdout } = await execute(process.execPath, program, { cwd: PROJECT_ROOT, env });
    return { lines: stdout.split('\n').filter(Boolean), code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number };
    return { lines: (stdout + stderr).split('\n').filter(Boolean), code };
  }
}

describe('schedules in a file', () => {
  test('are made, compared, changed and deleted', async () => {
    const example = join(PROJECT_ROOT, 'schedules.example.yaml');
    expect(await told('diff', example)).toEqual([
      'nightly-shop: does not exist',
      'events: does not exist',
      'maintain-bronze: does not exist',
      'weekdays-orders: does not exist',
    ]);
    expect(await told('apply', example)).toEqual([
      'nightly-shop: created',
      'events: created',
      'maintain-bronze: created',
      'weekdays-orders: created',
    ]);
    expect(await told('diff', example)).toEqual([]);
    const { policies, spec, action } = await schedules.getHandle('nightly-shop').describe();
    expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 3_600_000, pauseOnFailure: true });
    expect(spec.timezone).toBe('Europe/Berlin');
    expect(action).toMatchObject({ workflowType: 'extractDatabase', taskQueue: 'datakit-postgres' });
    const calendar = (await schedules.getHandle('weekdays-orders').describe()).spec.calendars?.[0];
    expect(calendar?.dayOfWeek).toEqual([{ start: 'MONDAY', end: 'FRIDAY', step: 1 }]);

    const changed = join(directory, 'changed.yaml');
    const text = await readFile(example, 'utf8');
    await writeFile(
      changed,
      text.replace('every: 10 minutes', 'every: 20 minutes').replace(/ {2}weekdays-orders:[^]*/, ''),
    );
    await schedules.getHandle('events').pause('by hand');
    // a proxy is for other machines
    const proxy = { http_proxy: 'http://127.0.0.1:1', https_proxy: 'http://127.0.0.1:1' };
    expect(await runWith(proxy, 'diff', changed)).toEqual({
      lines: [
        'events: times: [{"every":600000,"offset":0}] → [{"every":1200000,"offset":0}]',
        'weekdays-orders: is not in the file',
      ],
      code: 1,
    });
    await told('apply', changed);
    const events = await schedules.getHandle('events').describe();
    expect(events.spec.intervals).toMatchObject([{ every: 1_200_000 }]);
    expect(events.state.paused).toBe(true);
    expect(await told('delete', example)).toEqual([
      'nightly-shop: deleted',
      'events: deleted',
      'maintain-bronze: deleted',
      'weekdays-orders: deleted',
    ]);
    const { code, lines } = await run('aply', example);
    expect([code, lines[0]]).toEqual([2, 'Usage: npm run schedules -- apply|diff|delete [schedules.yaml …]']);
  });

  test.each([
    [
      'schedules: {a: {workflow: extractTable, input: {table: t}}}',
      'expected one of "cron", "every" and "calendar"',
    ],
    [
      'schedules: {a: {workflow: extractTable, input: {tabel: t}, cron: "* * * * *"}}',
      'schedules.a.input: The input was refused.',
    ],
    ['schedules: {a: {workflow: extractAll, input: {}, cron: "* * * * *"}}', 'schedules.a.workflow'],
    [
      'schedules: {a: {workflow: extractTable, input: {table: t}, cron: "* * * * *", timeZone: Mars}}',
      'expected a time zone',
    ],
    [
      'schedules: {a: {workflow: extractTable, input: {table: t}, evry: 5 minutes}}',
      'schedules.a.evry: unknown key (did you mean "every"?)',
    ],
    [
      'schedules: {a: {workflow: extractTable, input: {table: t}, cron: "61 * * * *"}}',
      'schedules.a: "61" is not a valid minute: expected for example 3',
    ],
    [
      'schedules: {a: {workflow: extractTable, input: {table: t}, cron: [0 3 * * *, every night]}}',
      'schedules.a: "every night" is not a cron expression',
    ],
    [
      'schedules: {a: {workflow: extractTable, input: {table: t}, calendar: [{hour: 24}]}}',
      'schedules.a: "24" is not a valid hour',
    ],
    [
      'schedules: {a: {workflow: extractTable, input: {table: t, partitions: {from: scheduled}}, cron: "* * * * *", overlap: skip}}',
      'schedules.a.overlap: expected "bufferAll" (the default here) or "allowAll"',
    ],
    [
      'schedules: {a b: {workflow: extractTable, input: {table: t}, every: 1 day}}',
      'schedules.a b: expected an id such as "nightly-orders"',
    ],
    ['schedules: [', 'The file is not valid YAML'],
    [
      'schedules: {a: {workflow: extractDatabase, input: {tables: [public.*, !public.tmp_*]}, every: 1 day}}',
      'a text that begins with "!" or "*" needs quotes: Unresolved tag: !public.tmp_*',
    ],
  ])('%s is refused before anything is changed', (text, message) => {
    expect(() => readScheduleFile(text)).toThrow(message);
  });

  test.each([
    ['every: 10 minutes, offset: 10 minutes', 'offset: only allowed with "every", and expected to be less'],
    ['cron: "0 3 * * *", offset: 10 minutes', 'offset: only allowed with "every"'],
    ['every: 10 minutes, offset: 1500 ms', 'offset: expected whole seconds'],
    ['calendar: [{hour: [1, 2]}]', 'calendar.0.hour: expected a number, or a text such as "1-5"'],
    ['calendar: {hour: 3}', 'as in "calendar": [{"dayOfWeek":"mon-fri","hour":5}]'],
    ['cron: 5', 'cron: expected a cron expression such as "0 3 * * mon-fri"'],
    ['every: 500 ms', 'every: expected whole seconds'],
    ['calendar: [{dayOfWeek: fri-mon}]', '"fri-mon" is not a valid dayOfWeek'],
    ['cron: "0 5 * * 5-1"', '"5-1" is not a valid day of the week'],
    ['cron: "0 22-6 * * *"', '"22-6" is not a valid hour'],
    ['calendar: [{dayOfMonth: 30-31, month: feb}]', 'There is no day 30-31 in month feb'],
    ['cron: "0 3 31 2,4-6/2 *"', 'There is no day 31 in month 2,4-6/2: no run would ever be due'],
    ['cron: "0 3 ? * *"', '"?" is not a valid dayOfMonth'],
    ['cron: "*/0 3 * * *"', '"*/0" is not a valid minute'],
    ['cron: "0 3 * * * 1999"', '"1999" is not a valid year'],
    ['cron: "CRON_TZ=UTC 0 3 * * *"', 'the time zone belongs in "timeZone"'],
    ['cron: "@every 1h"', 'an interval belongs in "every"'],
    ['cron: "0 3 * * * # nightly"', 'a comment belongs in "note"'],
    ['cron: "0 3 * * *", timeZone: asia/kolkata', 'expected a time zone'],
    ['cron: "0 3 * * *", catchupWindow: 1 second', 'expected at least "10 seconds"'],
  ])(
    '%s, which the server would refuse, return in another form or never find due, is refused too',
    (when, message) => {
      const text = `schedules: {a: {workflow: extractTable, input: {table: t}, ${when}}}`;
      expect(() => readScheduleFile(text)).toThrow(message);
    },
  );

  test.each([
    '*/5 * * * *',
    '0 3 29-31 feb *',
    '0 3 1,15 jan-mar mon-fri',
    '30 2-4/2 * * 5-7',
    '@daily',
    '0 0 12 * * *',
  ])('the cron expression %s is one, and ranges may hang on the time of the schedule', (cron) => {
    const partitions = { from: 'scheduled - 1 day', to: 'scheduled' };
    const input = { table: 't', partitions, write: 'replace-partitions' };
    const whole = { tables: ['public.*', input] };
    const inFile = {
      one: { workflow: 'extractTable', input, cron },
      all: { workflow: 'extractDatabase', input: whole, cron },
    };
    expect(readScheduleFile(JSON.stringify({ schedules: inFile })).get('all')?.input).toEqual(whole);
  });

  test('may be many megabytes, of which each goes to Temporal by itself, but no input may', () => {
    const one = (ids: number) => ({
      workflow: 'extractTable',
      input: { table: 'orders', where: `id IN (${'1, '.repeat(ids)}1)` },
      cron: '0 3 * * *',
    });
    const fits = { schedules: { a: one(500_000), b: one(500_000) } };
    expect(readScheduleFile(JSON.stringify(fits)).size).toBe(2);
    expect(() => readScheduleFile(JSON.stringify({ schedules: { a: one(699_000) } }))).toThrow(
      'schedules.a.input: The input was refused. input: expected at most 2 MB of JSON',
    );
  });

  test('are returned by the server as they are in the file', async () => {
    const path = join(directory, 'forms.yaml');
    const when: readonly object[] = [
      {
        cron: [
          '*/5 * * * *',
          '30 2-4/2 1,15 jan-mar 5-7',
          '0 0 12 * * 0 2030-2040/2',
          '0 3 * * sun 2030',
          '@daily',
          // what YAML makes of a text on a line of its own
          '30 3 * * *\n',
        ],
      },
      { cron: '0 3 * * *', timeZone: 'europe/berlin', catchupWindow: '10 seconds' },
      { cron: '0 3 * * *', timeZone: 'Asia/Kolkata' },
      { every: '90 seconds', offset: '30 seconds' },
      { calendar: [{ dayOfWeek: 'mon-friday', hour: '0-20/10', year: '2030-2040' }] },
      { calendar: [{ minute: '*/20', hour: '5/6,23' }] },
    ];
    const forms = when.map((one) => ({
      workflow: 'extractTable',
      input: { table: 't' },
      paused: true,
      ...one,
    }));
    await writeFile(path, JSON.stringify({ schedules: Object.fromEntries(Object.entries(forms)) }));
    expect(await told('apply', path)).toHaveLength(forms.length);
    expect(await told('diff', path)).toEqual([]);
    const { spec } = await schedules.getHandle('5').describe();
    expect(spec.calendars).toMatchObject([
      {
        minute: [{ start: 0, end: 59, step: 20 }],
        hour: [
          { start: 5, end: 23, step: 6 },
          { start: 23, end: 23, step: 1 },
        ],
      },
    ]);
    await told('delete', path);
  });

  test('may be in several files', { tags: 'long' }, async () => {
    const fileOf = async (name: string) => {
      const path = join(directory, name);
      const one = { workflow: 'maintainBronze', input: {}, every: '1 day' };
      await writeFile(path, JSON.stringify({ schedules: { [name]: one } }));
      return path;
    };
    const paths = [await fileOf('a'), await fileOf('b')];
    expect(await run('apply', ...paths)).toEqual({ lines: ['a: created', 'b: created'], code: 0 });
    const [twice] = paths;
    const { code, lines } = await run('diff', ...paths, twice ?? '');
    expect([code, lines]).toEqual([2, [`${twice}: schedules.a: is in another of these files too`]]);
    expect(await run('delete', ...paths)).toEqual({ lines: ['a: deleted', 'b: deleted'], code: 0 });
  });

  test('one that the server refuses is named, after those that were applied', async () => {
    const one = { workflow: 'maintainBronze', input: {}, every: '1 day' };
    const inFile = { fine: one, refused: { ...one, taskQueue: 'q'.repeat(2000) } };
    const path = join(directory, 'refused.yaml');
    await writeFile(path, JSON.stringify({ schedules: inFile }));
    await expect(told('apply', path)).rejects.toThrow(/^fine: created\nrefused: .*length exceeds limit/);
    expect(await told('delete', path)).toEqual(['fine: deleted', 'refused: does not exist']);
  });

  test('runs that read windows wait for one another, since each has one that no other reads', () => {
    const incremental = { column: 'at', from: 'scheduled - 1 day', to: 'scheduled' };
    const overlapOf = (given: object) => {
      const days = { cron: '0 0 * * *', ...given };
      return readScheduleFile(JSON.stringify({ schedules: { days } })).get('days')?.overlap;
    };
    expect(overlapOf({ workflow: 'extractTable', input: { table: 't', incremental } })).toBe('bufferAll');
    const input = { tables: ['a', { table: 't', incremental }] };
    expect(overlapOf({ workflow: 'extractDatabase', input })).toBe('bufferAll');
    expect(overlapOf({ workflow: 'extractDatabase', input, overlap: 'allowAll' })).toBe('allowAll');
    expect(overlapOf({ workflow: 'extractTable', input: { table: 'scheduled' } })).toBe('skip');
  });

  test('are encrypted as the workers encrypt, where there are keys', { tags: 'long' }, async () => {
    const fileOf = async (id: string) => {
      const one = { workflow: 'extractTable', input: { table: 'confidential' }, every: '1 day' };
      await writeFile(join(directory, id), JSON.stringify({ schedules: { [id]: one } }));
      return join(directory, id);
    };
    const [old, sealed] = [await fileOf('old'), await fileOf('sealed')];
    await told('apply', old);
    const key = { id: '2026', key: randomBytes(32) };
    const client = new ScheduleClient({ connection, dataConverter: dataConverterOf([key]) });
    const keys = { DATAKIT_ENCRYPTION_KEYS: `${key.id}:${key.key.toString('base64')}` };
    const lines = ['sealed: created', 'old: is not in the file'];
    expect(await runWith(keys, 'apply', sealed)).toEqual({ lines, code: 0 });
    expect(await told('diff', sealed, client)).toEqual(['old: is not in the file']);
    const { schedule } = await connection.workflowService.describeSchedule({
      namespace: 'default',
      scheduleId: 'sealed',
    });
    const [payload] = schedule?.action?.startWorkflow?.input?.payloads ?? [];
    expect(payload?.data?.length).toBeGreaterThan(0);
    expect(Buffer.from(payload?.data ?? []).toString()).not.toContain('confidential');
    await expect(told('diff', sealed)).rejects.toThrow(
      '"sealed" cannot be read with DATAKIT_ENCRYPTION_KEYS',
    );
    expect(await told('diff', old)).toEqual([]);
    const change = ['old: encryption: is not that of the first key', 'sealed: is not in the file'];
    expect(await told('apply', old, client)).toEqual(change);
    expect(await told('diff', old, client)).toEqual(change.slice(1));
    for (const path of [old, sealed]) await told('delete', path, client);
  });

  test('keep the reason for which they are paused, and have the note of the file else', async () => {
    const path = join(directory, 'noted.yaml');
    const write = async (more: object) => {
      const noted = { workflow: 'extractTable', input: { table: 't' }, ...more };
      await writeFile(path, JSON.stringify({ schedules: { noted } }));
    };
    const handle = schedules.getHandle('noted');
    const stateAfter = async (more: object) => {
      await write(more);
      await told('apply', path);
      return (await handle.describe()).state;
    };
    expect(await stateAfter({ every: '1 day' })).toMatchObject({ paused: false, note: '' });
    await handle.pause('paused due to workflow failure');
    const paused = { paused: true, note: 'paused due to workflow failure' };
    expect(await stateAfter({ every: '2 days' })).toMatchObject(paused);
    expect(await stateAfter({ every: '3 days', note: 'of the file' })).toMatchObject(paused);
    await handle.unpause('it works again');
    expect(await stateAfter({ every: '4 days' })).toMatchObject({ paused: false, note: 'it works again' });
    expect(await stateAfter({ every: '5 days', note: 'of the file' })).toMatchObject({ note: 'of the file' });
    await handle.delete();
  });
});
