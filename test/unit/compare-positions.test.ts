import { describe, expect, test } from 'vitest';
import type { Capture } from '../../src/bronze/cdc/positions.ts';
import { compareSlot, positionOn, type SlotFacts } from '../../src/capture/compare-positions.ts';
import { SentBeforeWatch } from '../../src/capture/sent-before.ts';
import type { Slot } from '../../src/postgres/replication/slots.ts';
import { parseLsn } from '../../src/postgres/replication/lsn.ts';

const capture: Capture = {
  captureId: '1',
  source: 'default',
  slot: 's',
  publication: 'p',
  ownPublication: true,
  systemId: '7',
  timeline: 2,
  status: 'streaming',
  position: '0/500',
  committedAt: null,
  last: { commitLsn: '0/300', xid: '9' },
  copiedAt: '0/200',
  transactions: 1,
  changes: 1,
  tablesVersion: 0,
  runId: 'r',
  workflowId: 'workflow',
  warnings: [],
};

/** Returns a server on timeline 3, which branched off timeline 2 at the given position. */
function promoted(left: string | undefined, changes: Partial<Capture> = {}): SlotFacts {
  return {
    name: 's',
    database: 'd',
    capture: { ...capture, ...changes },
    slot: {
      plugin: 'pgoutput',
      database: 'd',
      temporary: false,
      activePid: null,
      activeApplication: null,
      walStatus: 'reserved',
      confirmed: '0/280',
      restart: '0/250',
    },
    system: { systemId: '7', timeline: 3 },
    logEnd: '0/900',
    history: new Map(left === undefined ? [[1, '0/100']] : [[1, '0/100'], [2, left]]), // prettier-ignore
  };
}

/** Returns a server that is still on timeline 2, and its slot. */
function sameServer(slot: Partial<Slot> | undefined, changes: Partial<Capture> = {}): SlotFacts {
  const { slot: usual, ...facts } = promoted('0/600', changes);
  const system = { systemId: '7', timeline: 2 };
  return { ...facts, system, slot: slot && usual && { ...usual, ...slot } };
}

describe('a slot of the same server', () => {
  test('that has all after the position goes on, and one whose first copy never ended does not', () => {
    expect(compareSlot(sameServer({}))).toBe('resume');
    expect(compareSlot(sameServer({ confirmed: '0/500' }))).toBe('resume');
    expect(compareSlot(sameServer({}, { status: 'copying' }))).toBe('again');
    expect(compareSlot(sameServer(undefined, { position: null }))).toBe('again');
    expect(compareSlot({ ...sameServer(undefined), capture: undefined })).toBe('new');
  });

  test.each<[string, SlotFacts]>([
    ['is a physical slot', sameServer({ plugin: null })],
    ['uses the plugin test_decoding', sameServer({ plugin: 'test_decoding' })],
    ['belongs to the database "other"', sameServer({ database: 'other' })],
    ['is a temporary slot', sameServer({ temporary: true })],
    ['already exists, but this warehouse has no position for it', { ...sameServer({}), capture: undefined }],
    ['The source is another server', sameServer({}, { systemId: '8' })],
    ['The log of the source ends at 0/900', sameServer({}, { position: '0/901' })],
    ['no longer exists', sameServer(undefined)],
    ['was invalidated', sameServer({ walStatus: 'lost' })],
    ['was invalidated', sameServer({ restart: null })],
    ['begins at 0/501, .* changes up to 0/500: somebody else', sameServer({ confirmed: '0/501' })],
    [
      'begins at 0/600, .* it was dropped and created again',
      sameServer({ confirmed: '0/600', restart: '0/550' }),
    ],
  ])('is refused: %s', (words, facts) => {
    expect(() => compareSlot(facts)).toThrow(new RegExp(words));
  });
});

describe('a source on another timeline', () => {
  test('has all that is written where it left the one before after the last change and the last copy', () => {
    expect(compareSlot(promoted('0/600'))).toBe('resume');
    expect(positionOn(promoted('0/600'), capture)).toBe('0/500');
    expect(compareSlot(promoted('0/400'))).toBe('resume');
    expect(positionOn(promoted('0/400'), capture)).toBe('0/400');
    expect(compareSlot(promoted('0/400', { last: null }))).toBe('resume');
  });

  test('lacks some of it otherwise', () => {
    const lacks = /another took its place, at 0\/300, .* some of them are not in the source/;
    expect(() => compareSlot(promoted('0/300'))).toThrow(lacks);
    expect(() => compareSlot(promoted('0/300', { last: null, copiedAt: '0/301' }))).toThrow(lacks);
    expect(() => compareSlot(promoted(undefined))).toThrow(
      /on timeline 3, which does not come from timeline 2/,
    );
  });
});

describe('what a slot sends once more', () => {
  const watch = (last: { commitLsn: string; xid: string | null } | null, confirmed: string) =>
    new SentBeforeWatch({ slot: 's', position: '0/500', last, confirmed });
  const at = parseLsn;
  const conflict = /has another transaction at .* restored from a backup/;

  test('is what is written, up to the position, and new after it', () => {
    const sent = watch({ commitLsn: '0/300', xid: '9' }, '0/280');
    expect(sent.has(at('0/290'), 8)).toBe(true);
    sent.expectKnown(at('0/290'), 8);
    expect(sent.has(at('0/300'), 9)).toBe(true);
    sent.expectKnown(at('0/300'), 9);
    expect(sent.has(at('0/400'), 10)).toBe(true); // of no table that is captured
    expect(sent.has(at('0/500'), 11)).toBe(false);
  });

  test('is refused where another transaction is in the place of the last, or none, or one that is wanted after it', () => {
    const last = { commitLsn: '0/300', xid: '9' };
    expect(() => watch(last, '0/280').has(at('0/300'), 10)).toThrow(conflict);
    expect(() => watch(last, '0/280').has(at('0/301'), 9)).toThrow(conflict);
    expect(() => watch(last, '0/300').passed(at('0/301'))).toThrow(conflict);
    expect(() => watch(last, '0/301').expectKnown(at('0/400'), 10)).toThrow(conflict);
    expect(() => watch(null, '0/100').expectKnown(at('0/400'), 10)).toThrow(conflict);
  });

  test('begins after the last change where that is acknowledged', () => {
    watch({ commitLsn: '0/300', xid: '9' }, '0/301').passed(at('0/400'));
    // the position of a message is its end
    watch({ commitLsn: '0/300', xid: null }, '0/300').passed(at('0/400'));
    expect(watch({ commitLsn: '0/500', xid: null }, '0/480').has(at('0/500'), undefined)).toBe(true);
  });

  test('tells a message from the transaction whose commit begins where the message ends', () => {
    const message = { commitLsn: '0/500', xid: null };
    expect(watch(message, '0/500').has(at('0/500'), 9)).toBe(false);
    expect(watch({ ...message, commitLsn: '0/300' }, '0/280').has(at('0/300'), undefined)).toBe(true);
    expect(() => watch(message, '0/480').has(at('0/500'), 9)).toThrow(conflict); // where is the message?
    expect(() => watch({ ...message, commitLsn: '0/300' }, '0/300').expectKnown(at('0/300'), 9)).toThrow(
      conflict,
    );
    const sent = watch({ commitLsn: '0/300', xid: '9' }, '0/280');
    expect(sent.has(at('0/300'), undefined)).toBe(true);
    expect(sent.has(at('0/300'), 9)).toBe(true);
  });
});
