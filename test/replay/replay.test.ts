import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Worker } from '@temporalio/worker';
import { describe, expect, inject, test } from 'vitest';
import '../setup/quiet.ts';

const folder = new URL('./histories/', import.meta.url);
const names = await readdir(folder);

describe('a run that began on an earlier version goes on with this one', () => {
  test.each(names)('%s', async (name) => {
    const history: unknown = JSON.parse(await readFile(new URL(name, folder), 'utf8'));
    const workflowBundle = { codePath: inject('workflowBundle') };
    // children are named after the workflow, whose name is not in the history
    const workflowId = basename(name, '.json');
    await expect(Worker.runReplayHistory({ workflowBundle }, history, workflowId)).resolves.toBeUndefined();
  });

  test('and a history that does not fit is noticed', async () => {
    const text = await readFile(new URL('many-chunks.json', folder), 'utf8');
    const history: unknown = JSON.parse(text.replaceAll('"copyChunks"', '"copyOtherwise"'));
    const workflowBundle = { codePath: inject('workflowBundle') };
    await expect(Worker.runReplayHistory({ workflowBundle }, history)).rejects.toThrow(/nondeterminism/i);
  });
});
