import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SourcePulse } from '../../src/capture/source-pulse.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';

/** Counts what is to be written, and is away. */
class CountedDatabase extends Database {
  writes = 0;

  override async write<T>(): Promise<T> {
    this.writes += 1;
    throw new Error('away');
  }
}

test('a source gets a heartbeat a second at the most, however often they are asked for', async () => {
  const source = new CountedDatabase({
    label: 'source',
    settings: connectionTo('postgresql://nobody@localhost/none'),
  });
  const { signal } = new AbortController();
  const pulse = new SourcePulse(source, { runId: 'run', slot: 'slot', interval: 1, signal });
  await sleep(200);
  await pulse.close();
  expect(source.writes).toBe(1);
});
