import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';
import { prepareOrders, refusal } from './refusal.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await prepareOrders(lab);
});
afterAll(async () => lab.close());

describe('an input that is wrong in itself is refused before anything is asked of a database', () => {
  test.each<[string, object, string]>([
    [
      'an unknown key',
      { table: 'orders', chunk_size: '1MB' },
      'chunk_size: unknown key (did you mean "chunkSize"?)',
    ],
    [
      'an unknown key within',
      { table: { shema: 'public', table: 'orders' } },
      'table.shema: unknown key (did you mean "schema"?)',
    ],
    ['a wrong type', { table: 'orders', parallelism: 'four' }, 'parallelism: invalid input: expected number'],
    [
      'a wrong type within',
      { table: 'orders', columns: ['id', 7] },
      'columns.1: invalid input: expected string',
    ],
    ['no table', {}, 'table: is required: expected "orders", "sales.orders" or'],
    [
      'a table in three parts',
      { table: 'shop.public.orders' },
      'table: expected "orders", "sales.orders" or',
    ],
    [
      'a list of partitions, which may be relative to a schedule elsewhere',
      { table: 'orders', partitions: ['orders_1'] },
      'partitions: invalid input: expected object, received array, as in "partitions": {"names":',
    ],
    ['a name of 64 bytes', { table: 'x'.repeat(64) }, 'table: a PostgreSQL name has at most 63 bytes'],
    ['no columns', { table: 'orders', columns: [] }, 'columns: expected at least one column'],
    [
      'a chunk of nothing',
      { table: 'orders', chunkSize: '0MB' },
      'chunkSize: expected a size such as "64MB"',
    ],
    ['a size without unit', { table: 'orders', chunkSize: 64 }, 'chunkSize: expected a size such as "64MB"'],
    [
      'a timeout that ms cannot read',
      { table: 'orders', statementTimeout: 's'.repeat(200) },
      'statementTimeout: expected a duration',
    ],
    [
      'a timeout that PostgreSQL cannot hold',
      { table: 'orders', statementTimeout: '30 days' },
      'expected at most "24 days"',
    ],
    [
      'too many copies at once',
      { table: 'orders', parallelism: 65 },
      'parallelism: too big: expected number to be <=64',
    ],
    ['an empty where', { table: 'orders', where: '' }, 'where: expected an expression'],
    [
      'more than Temporal leaves room for',
      { table: 'orders', where: `id IN (${'1, '.repeat(699_000)}1)` },
      'input: expected at most 2 MB of JSON',
    ],
    ['no object', ['orders'], 'input: invalid input: expected object, received array'],
  ])('%s', async (_name, input, words) => {
    const message = await refusal(lab, input, 'InvalidInput');
    expect(message).toContain(words);
    expect(message).toContain('An input that works: {"table":"sales.orders","parallelism":4}');
  });
});

test.each([
  ['extractTable', [{ table: 'orders' }, { table: 'customers' }]],
  ['extractTable', [{ table: 'orders' }, null]],
  ['extractDatabase', [{ tables: ['orders'] }, { tables: ['customers'] }]],
  ['captureChanges', [{ tables: ['orders'] }, { tables: ['customers'] }]],
  ['captureChanges', [{ tables: ['orders'] }, null]],
])('a second input of %s is not ignored', async (type, args) => {
  const { taskQueue } = lab;
  const workflowId = `${taskQueue}-two-inputs`;
  const outcome = lab.temporal.workflow.execute(type, { taskQueue, workflowId, args });
  await expectFailure(outcome, 'InvalidInput', 'There is a second one, and each run has one only');
});
