import { describe, expect, test, vi } from 'vitest';
import type { CaptureTable } from '../../src/bronze/cdc/tables.ts';
import { ChangeFeed } from '../../src/capture/change-feed.ts';
import { parseLsn } from '../../src/postgres/replication/lsn.ts';
import { TEXT_VALUE, Tuple, type Relation } from '../../src/postgres/replication/pgoutput.ts';

const column = { name: 'v', typeOid: 25, modifier: -1, isKey: true };
const relation: Relation = { oid: 1, schema: 'public', name: 't', replicaIdentity: 'd', columns: [column] };

function rowOf(text: string): Tuple {
  const tuple = new Tuple();
  tuple.buffer = Buffer.from(text);
  tuple.reserve(1);
  tuple.kinds[0] = TEXT_VALUE;
  tuple.starts[0] = 0;
  tuple.ends[0] = tuple.buffer.length;
  return tuple;
}

/** Returns a feed within a transaction that has inserted a row. */
function feedOf(text: string, tables: readonly CaptureTable[] = [], commitLsn = '0/200'): ChangeFeed {
  const known = { slot: 's', position: '0/100', last: null, confirmed: '0/100' };
  const encodings = { source: 'UTF8', warehouse: 'UTF8' };
  const feed = new ChangeFeed('', { captureId: '1', slot: 's', encodings }, tables, known);
  feed.onBegin({ commitLsn: parseLsn(commitLsn), committedAt: 0n, xid: 7 });
  feed.onRelation(relation);
  feed.onInsert(relation, rowOf(text), parseLsn('0/180'));
  return feed;
}

describe('a feed of changes', () => {
  test('gives nothing more where nothing is wanted, however much is there', async () => {
    const feed = feedOf('small');
    feed.onCommit(parseLsn('0/210'));
    await expect(feed.next(() => 'end')).resolves.toBeUndefined();
    await expect(feed.next(() => 'changes')).resolves.toMatchObject({ rows: { count: 1 } });
  });

  test('acknowledges what the slot has sent, and not what only the warehouse has', () => {
    const feed = feedOf('row');
    const acknowledged = vi.spyOn(feed.stream, 'acknowledge');
    feed.acknowledge('0/180');
    feed.onCommit(parseLsn('0/210'));
    feed.acknowledge('0/180');
    feed.acknowledge('0/300');
    expect(acknowledged.mock.calls.flat()).toEqual(['0/100', '0/180', '0/210'].map(parseLsn));
  });

  test('gives the end of a transaction all of whose changes were taken before', async () => {
    const feed = feedOf('x'.repeat(5_000_000));
    const first = await feed.next(() => 'changes');
    expect(first).toMatchObject({ rows: { count: 1 }, end: undefined });
    const rest = feed.next(() => 'changes');
    feed.onCommit(parseLsn('0/210'));
    feed.wake();
    await expect(rest).resolves.toMatchObject({
      rows: { count: 0 },
      end: { position: '0/210', transactions: 1 },
    });
  });

  test.each([
    ['0/1FF', { logged: 0, applied: 0 }],
    ['0/200', { logged: 1, applied: 1 }],
  ])('takes what commits at %s for in a copy as of 0/200, or not', async (commitLsn, expected) => {
    const copy: CaptureTable = {
      schema: 'public',
      name: 't',
      target: 'br_t',
      status: 'live',
      copiedAt: '0/200',
      logFrom: '0/200',
      addedAt: null,
      mirrored: true,
      key: ['v'],
      columns: [{ name: 'v', typeOid: 25, modifier: -1, number: 1 }],
      catalog: null,
      runId: 'r',
      membership: null,
    };
    const feed = feedOf('row', [copy], commitLsn);
    feed.onCommit(parseLsn('0/210'));
    const segment = await feed.next(() => 'position');
    expect({ logged: segment?.rows.count, applied: segment?.mirror.size }).toEqual(expected);
  });
});
