import type { LocalStack } from '../local/stack.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { CountingProxy } from './counting-proxy.ts';
import { query } from './execute.ts';
import { otherTypes } from './landed-types.ts';
import { measure } from './measure.ts';
import type { SourceTable } from './peers/peer.ts';
import type { Measured, Sample } from './result.ts';
import { say } from './say.ts';
import type { Addresses, Subject } from './subjects.ts';
import { takeTurns, type Way } from './take-turns.ts';

/** Tables to copy. */
export interface Case {
  readonly name: string;
  readonly tables: readonly SourceTable[];
  readonly rows: number;
  readonly bytes: number;
}

/** A subject whose warm-up run takes longer than this is measured only once. */
const SLOW_SECONDS = 30;

interface InTurnOptions {
  readonly rounds: number;
  /** Set to send the warm-up run through byte-counting proxies, which distort its time. */
  readonly countBytes?: boolean;
}

/** A subject with a case to copy, and its first run. */
interface Contender extends Way {
  readonly first?: Sample;
  readonly wire?: Addressed<number>;
  readonly otherTypes?: readonly string[];
  failed?: string;
}

interface Addressed<T> {
  readonly source: T;
  readonly warehouse: T;
}

/** Copies with each subject in turn (A B C A B C …), after a warm-up run of each. */
export async function inTurn(
  stack: LocalStack,
  subjects: readonly Subject[],
  copied: Case,
  { rounds, countBytes = false }: InTurnOptions,
): Promise<Measured[]> {
  say(` ${copied.name}`);
  const contenders: Contender[] = [];
  for (const subject of subjects) contenders.push(await enter(stack, subject, copied, countBytes));
  const slow = ({ first }: Contender): boolean => (first?.seconds ?? 0) > SLOW_SECONDS;
  const able = contenders.filter(({ failed }) => failed === undefined);
  const turns = { warmUps: 0, onFailure: (way: Contender, reason: string) => (way.failed = reason) };
  const samples = new Map([
    ...(await takeTurns(stack, countBytes ? able.filter(slow) : [], { ...turns, rounds: 1 })),
    ...(await takeTurns(stack, able.filter((way) => !slow(way)), { ...turns, rounds })),
  ]); // prettier-ignore
  const { name, rows, bytes } = copied;
  return contenders.map((way) => ({
    subject: way.name,
    case: name,
    rows,
    bytes,
    samples: samples.get(way) ?? (way.first === undefined ? [] : [way.first]),
    ...(way.wire !== undefined && { wire: way.wire }),
    ...(way.otherTypes !== undefined && { otherTypes: way.otherTypes }),
    ...(way.failed !== undefined && { failed: way.failed }),
  }));
}

async function enter(
  stack: LocalStack,
  subject: Subject,
  copied: Case,
  countBytes: boolean,
): Promise<Contender> {
  const way: Way = {
    name: subject.name,
    // a different process after the previous one was killed
    get workers() {
      return subject.workers;
    },
    prepare: async () => subject.prepare(copied.tables),
  };
  try {
    const warmedUp = countBytes
      ? await countingRun(stack, subject, copied)
      : await run(stack, subject, copied);
    await expectAllRows(subject, copied);
    say(`  warm-up: ${subject.name} ${formatDuration(warmedUp.first.seconds * 1000)}`);
    return Object.assign(way, warmedUp, { otherTypes: await otherTypes(subject, copied.tables) });
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    say(`  ${subject.name} failed, ${failed}`);
    return Object.assign(way, { failed });
  }
}

async function run(
  stack: LocalStack,
  subject: Subject,
  { tables }: Case,
  through?: Addresses,
): Promise<{ first: Sample }> {
  return { first: await measure(stack, subject.workers, await subject.prepare(tables, through)) };
}

/** Subjects whose own workers have already run. */
const warm = new WeakSet<Subject>();

async function countingRun(
  stack: LocalStack,
  subject: Subject,
  copied: Case,
): Promise<{ first: Sample; wire: Addressed<number> }> {
  const [source, warehouse] = await Promise.all([
    CountingProxy.before(stack.sourceUrl),
    CountingProxy.before(stack.warehouseUrl),
  ]);
  try {
    const { first } = await run(stack, subject, copied, {
      sourceUrl: source.url,
      warehouseUrl: warehouse.url,
    });
    const wire = { source: source.take().fromServer, warehouse: warehouse.take().toServer };
    // the processes that warmed up through the proxies are not the ones to be measured
    if (subject.workers.length > 0 && !warm.has(subject)) await run(stack, subject, copied);
    warm.add(subject);
    return { first, wire };
  } finally {
    source.close();
    warehouse.close();
  }
}

/** Makes sure that all rows arrived: a peer that copies nothing would look fast. */
async function expectAllRows(subject: Subject, { tables, rows }: Case): Promise<void> {
  const counts = tables.map(({ name }) => `(SELECT count(*) FROM ${subject.target(name)})`);
  const [found] = await query<{ count: string }>(
    subject.warehouseUrl,
    `SELECT ${counts.join(' + ')} AS count`,
  );
  if (Number(found?.count) !== rows) throw new Error(`${found?.count} of ${rows} rows arrived`);
}
