import { describe, expect, test } from 'vitest';
import { readEnvironment, sourceVariable } from '../../src/config/environment.ts';

const source = 'postgresql://reader:hunter2@source:5432/shop';
const warehouse = 'postgres://writer:hunter2@warehouse/analytics';
const complete = { SOURCE_DATABASE_URL: source, WAREHOUSE_DATABASE_URL: warehouse };

function refusal(variables: Record<string, string | undefined>): string {
  try {
    readEnvironment(variables);
  } catch (error) {
    return String(error);
  }
  throw new Error('the environment was not refused');
}

test('two variables are enough', () => {
  const { sources, warehouse: target, ...worker } = readEnvironment(complete);
  expect(worker).toEqual({
    taskQueue: 'datakit-postgres',
    maxConcurrentActivities: 20,
    maxConcurrentSnapshots: 100,
    encryptionKeys: [],
  });
  expect(target).toMatchObject({ host: 'warehouse', port: 5432, database: 'analytics', user: 'writer' });
  expect([...sources.keys()]).toEqual(['default']);
  expect(sources.get('default')).toMatchObject({
    host: 'source',
    database: 'shop',
    user: 'reader',
    tls: { mode: 'prefer', negotiation: 'postgres' },
    options: undefined,
    connectTimeout: 10_000,
    pool: { size: 10, maxOverflow: 10, timeout: 30_000 },
  });
  expect(sources.get('default')?.password()).toBe('hunter2');
});

describe('sources', () => {
  test('are named by their variables, and found by their names', () => {
    const variables = {
      WAREHOUSE_DATABASE_URL: warehouse,
      SOURCE_SHOP_EU_DATABASE_URL: source,
      SOURCE_A1_DATABASE_URL: source,
    };
    const names = [...readEnvironment(variables).sources.keys()];
    expect(names).toEqual(['shop_eu', 'a1']);
    expect(names.map(sourceVariable)).toEqual(['SOURCE_SHOP_EU_DATABASE_URL', 'SOURCE_A1_DATABASE_URL']);
    expect(sourceVariable('default')).toBe('SOURCE_DATABASE_URL');
  });

  test('one variable for the default one only: which of two it would be, nobody could tell', () => {
    expect(refusal({ ...complete, SOURCE_DEFAULT_DATABASE_URL: source })).toContain(
      'the variable of the source "default" is SOURCE_DATABASE_URL',
    );
  });
});

describe('what is missing or wrong is named, all of it', () => {
  test('nothing is set', () => {
    expect(refusal({})).toMatch(
      /WAREHOUSE_DATABASE_URL: is not set; expected a URL such as .*; SOURCE_DATABASE_URL: is not set, and no other source is/,
    );
  });

  test('an empty variable is one that is not set', () => {
    const empty = {
      DATAKIT_TASK_QUEUE: '',
      DATAKIT_MAX_CONCURRENT_ACTIVITIES: '',
      SOURCE_OTHER_DATABASE_URL: '',
    };
    expect([...readEnvironment({ ...complete, ...empty }).sources.keys()]).toEqual(['default']);
    expect(refusal({ ...complete, WAREHOUSE_DATABASE_URL: '' })).toContain(
      'WAREHOUSE_DATABASE_URL: is not set',
    );
  });

  test.each(['mysql://me@host/db', 'host:5432', 'postgres:'])('a URL that is none: %s', (url) => {
    expect(refusal({ ...complete, WAREHOUSE_DATABASE_URL: url })).toContain(
      'WAREHOUSE_DATABASE_URL: expected a URL',
    );
    expect(refusal({ ...complete, SOURCE_SHOP_DATABASE_URL: url })).toContain(
      'SOURCE_SHOP_DATABASE_URL: expected a URL',
    );
  });

  test.each(['0', '-1', '1001', '2.5', 'many'])('%s activities at once', (value) => {
    expect(refusal({ ...complete, DATAKIT_MAX_CONCURRENT_ACTIVITIES: value })).toContain(
      'DATAKIT_MAX_CONCURRENT_ACTIVITIES: expected a whole number from 1 to 1000',
    );
  });
});

test('no value of a variable is in a message', () => {
  const wrong = {
    WAREHOUSE_DATABASE_URL: 'mysql://u:hunter2@host',
    SOURCE_DATABASE_URL: 'postgresql://u:hunter2@host:port',
    SOURCE_DEFAULT_DATABASE_URL: 'hunter2',
    DATAKIT_MAX_CONCURRENT_ACTIVITIES: 'hunter2',
  };
  expect(refusal(wrong)).not.toContain('hunter2');
});
