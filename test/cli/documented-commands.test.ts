import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { startTemporal, type TemporalServer } from '../../local/temporal.ts';
import { DEFAULT_TASK_QUEUE } from '../../src/contract/task-queues.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { testVariants } from '../setup/variants.ts';
import { waitUntil } from '../setup/wait-until.ts';

const execute = promisify(execFile);

let temporal: TemporalServer;
let lab: Lab;
let directory: string;
let gate: Gate | undefined;

beforeAll(async () => {
  temporal = await startTemporal({ port: 17233 });
  lab = await Lab.open({ temporalAddress: temporal.address, taskQueue: DEFAULT_TASK_QUEUE });
  directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-cli-'));
  await symlink(inject('temporalCli'), join(directory, 'temporal'));
  await lab.source.query(`CREATE SCHEMA sales;
    CREATE TABLE users AS SELECT i AS id FROM generate_series(1, 10) i;
    CREATE TABLE tmp_import (id int);
    CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 10) i;
    CREATE TABLE events (id int PRIMARY KEY, updated_at timestamptz NOT NULL);
    CREATE INDEX ON events (updated_at);
    INSERT INTO events SELECT i, timestamptz '2023-12-31 12:00Z' + i * interval '1 day' FROM generate_series(0, 2) i;
    CREATE TABLE sales.big (id int, filler text);
    ALTER TABLE sales.big ALTER filler SET STORAGE PLAIN;
    INSERT INTO sales.big SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i`);
});
afterAll(async () => {
  await lab.close();
  await temporal.dispose();
  await rm(directory, { recursive: true });
});

interface Step {
  readonly kind: 'command' | 'note';
  readonly text: string;
}

/** Returns the commands of a document, and the instructions for this test in comments between them. */
async function stepsOf(document: string): Promise<Step[]> {
  const text = await readFile(join(PROJECT_ROOT, document), 'utf8');
  return [...text.matchAll(/```sh\n([^]*?)```|<!-- test: ([^]*?) -->/g)].map(([, command, note]) =>
    command === undefined ? { kind: 'note', text: note ?? '' } : { kind: 'command', text: command },
  );
}

async function shell(command: string): Promise<{ output: string; failed: boolean }> {
  const env = {
    ...process.env,
    PATH: `${directory}${delimiter}${process.env['PATH'] ?? ''}`,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: 'default',
  };
  try {
    const { stdout, stderr } = await execute('bash', ['-ec', command], {
      cwd: directory,
      env,
      timeout: 50_000,
    });
    return { output: stdout + stderr, failed: false };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return { output: stdout + stderr, failed: true };
  }
}

const notes: Readonly<Record<string, (rest: string) => Promise<void>>> = {
  hold: async () => {
    gate = await Gate.closed(lab);
  },
  release: async () => {
    await gate?.open();
    gate = undefined;
  },
  start: async (rest) => {
    const [, id = '', input = ''] = /^(\S+) (.*)$/.exec(rest) ?? [];
    const request = JSON.parse(input) as object;
    await lab.temporal.workflow.start('tables' in request ? 'extractDatabase' : 'extractTable', {
      taskQueue: DEFAULT_TASK_QUEUE,
      workflowId: id,
      args: [request],
    });
    await gate?.reached();
  },
  ended: async (id) => {
    await waitUntil(
      async () => (await lab.temporal.workflow.getHandle(id).describe()).status.name !== 'RUNNING',
    );
    expect(await lab.leftoversAtLast(20_000)).toEqual([]);
  },
  write: async (rest) => {
    const [, name = '', text = ''] = /^(\S+) (.*)$/.exec(rest) ?? [];
    await writeFile(join(directory, name), text);
  },
  three: async () => {
    await waitUntil(async () => {
      const { rows } = await lab.warehouse.query<{ read_from: string }>(
        `SELECT DISTINCT incremental ->> 'readFrom' AS read_from FROM bronze.extraction_runs
          WHERE status = 'committed' AND workflow_id LIKE 'days-%' ORDER BY 1`,
      );
      return rows.length === 3 && rows[0]?.read_from.startsWith('2023-12-31 00:00:00') === true;
    }, 50_000);
  },
};

testVariants(['docs/schedules.md', 'docs/cli.md'])('every command of %s works', async (document) => {
  const steps = await stepsOf(document);
  expect(steps.filter(({ kind }) => kind === 'command').length).toBeGreaterThan(8);
  let expected: string | undefined;
  for (const { kind, text } of steps) {
    if (kind === 'note') {
      const [word = '', ...rest] = text.split(' ');
      if (word === 'fails,') expected = rest.join(' ');
      else await notes[word]?.(rest.join(' '));
      continue;
    }
    const { output, failed } = await shell(text);
    expect(failed, `${text}\n${output}`).toBe(expected !== undefined);
    if (expected !== undefined) expect(output.replaceAll(/\s+/g, ' ')).toContain(expected);
    expected = undefined;
  }
});
