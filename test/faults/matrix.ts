import { setTimeout as sleep } from 'node:timers/promises';
import { CaptureRun } from './capture-run.ts';
import type { Fault } from './faults.ts';
import type { FaultStack } from './fault-stack.ts';
import { Generations, written } from './generations.ts';
import { leftoversOf } from './leftovers.ts';
import {
  modesOf,
  moments,
  requestOf,
  tableModes,
  TableRun,
  type Mode,
  type Moment,
  type Subject,
} from './table-run.ts';

/** Time limit for a run to end after it was hit. */
const ENDS_WITHIN = 150_000;
/** Rounds until tables are recreated, since some of them grow. */
const ROUNDS_OF_A_TABLE = 6;
const LOOK_EVERY = 1;
const AIMED_WITHIN = 20_000;
/** Per connection, when aiming at a copy: fast enough, yet slow enough for a chunk to be observed. */
const BYTES_PER_SECOND = 2_000_000;

/** Longest delay in milliseconds between seeing a run in a moment and hitting it; none for short moments. */
const LATEST: Readonly<Record<Moment, number>> = {
  plan: 30,
  copying: 300,
  'between chunks': 300,
  commit: 20,
  'after commit': 0,
  'first copy': 300,
  streaming: 50,
};

/** The order of moments. */
const order: Readonly<Record<Moment, number>> = {
  plan: 0,
  copying: 1,
  'between chunks': 1,
  commit: 2,
  'after commit': 3,
  'first copy': 0,
  streaming: 1,
};

/** Target of a fault. */
export interface Aim {
  readonly fault: Fault;
  readonly moment: Moment;
  readonly mode: Mode;
}

/** A run that was hit, at the observed moment. */
export interface Hit {
  readonly fault: string;
  readonly moment: Moment;
  readonly mode: Mode;
  /** Empty if everything was exact and nothing was left behind. */
  readonly problems: readonly string[];
}

/** Lists everything that faults can be aimed at. */
export const cellsOf = (faults: readonly Fault[]): Aim[] =>
  faults.flatMap((fault) =>
    moments.flatMap((moment) => modesOf(moment).map((mode) => ({ fault, moment, mode }))),
  );

/**
 * Runs rounds with one fault each: three runs and a capture at the same time, one of which is the target.
 *
 * The moment of each is what it was doing when the fault struck.
 */
export class Matrix {
  readonly #stack: FaultStack;
  readonly #random: () => number;
  readonly #generations: Generations;
  #rounds = 0;

  constructor(stack: FaultStack, random: () => number) {
    this.#stack = stack;
    this.#random = random;
    this.#generations = new Generations(stack.source.url(stack.lab.source.database ?? ''));
  }

  /** @param beside true to run a capture even if the fault is not aimed at one */
  async round(aim: Aim, beside = true): Promise<Hit[]> {
    if (this.#rounds % ROUNDS_OF_A_TABLE === 0) await this.#beginAnew();
    this.#rounds += 1;
    await this.#generations.writeMany();
    this.#generations.start();
    try {
      const subjects = await this.#startAll(aim, beside);
      const hit = await this.#strike(aim, subjects);
      return await this.#judge(aim.fault, hit, subjects);
    } finally {
      await this.#generations.stop();
    }
  }

  /** Recreates the tables and makes the first runs, which have no checkpoint to continue from. */
  async #beginAnew(): Promise<void> {
    const { lab } = this.#stack;
    await this.#generations.makeTables();
    await lab.warehouse.query('TRUNCATE bronze.cdc_changes'); // they are kept, and the disk is small
    for (const mode of tableModes) {
      await lab.warehouse.query(`DROP TABLE IF EXISTS bronze.br_${written[mode].table}`);
    }
    await Promise.all(tableModes.map(async (mode) => lab.extract(requestOf(mode))));
  }

  async #startAll(aim: Aim, beside: boolean): Promise<Subject[]> {
    const capture = beside && aim.mode !== 'capture' ? await this.#startCapture() : undefined;
    // there is only time between chunks if they are copied one after another
    const width = aim.moment === 'between chunks' ? 1 : 2;
    const runs = await Promise.all(
      tableModes.map(async (mode) => TableRun.start(mode, this.#stack, this.#generations, width)),
    );
    if (capture !== undefined) return [...runs, capture];
    // its first copy is short, so it must be observed without waiting for anything else
    return aim.mode === 'capture' ? [...runs, await CaptureRun.start(this.#stack)] : runs;
  }

  async #startCapture(): Promise<CaptureRun> {
    const capture = await CaptureRun.start(this.#stack);
    await seen(async () => (await capture.look()) === 'streaming');
    return capture;
  }

  async #strike(aim: Aim, subjects: readonly Subject[]): Promise<Map<Subject, Moment>> {
    const { fault } = aim;
    if (aim.moment === 'copying') this.#throttle(BYTES_PER_SECOND);
    const lastSeen = await this.#untilMet(aim, subjects);
    const struck = Date.now();
    this.#throttle(Infinity);
    const settled = async () =>
      soon(Promise.all(subjects.map(async (subject) => subject.settled())).then(() => undefined));
    await fault.strike({ stack: this.#stack, subjects, random: this.#random, settled });
    await settled();
    const hit = new Map<Subject, Moment>();
    for (const [subject, at] of lastSeen) {
      if (at !== undefined && !(await subject.endedBefore(struck))) hit.set(subject, at);
    }
    return hit;
  }

  /**
   * Waits until the target is in its moment, at a random time. The moments of the others are from the same look,
   * and there are no queries between that look and the fault.
   */
  async #untilMet(
    { mode, moment }: Aim,
    subjects: readonly Subject[],
  ): Promise<[Subject, Moment | undefined][]> {
    // the target comes last
    const inOrder = subjects.toSorted(
      (one, other) => Number(one.mode === mode) - Number(other.mode === mode),
    );
    let lastSeen: [Subject, Moment | undefined][] = [];
    const isMet = async () => {
      const found: typeof lastSeen = [];
      for (const subject of inOrder) found.push([subject, await subject.look()]);
      lastSeen = found;
      return lastSeen.at(-1)?.[1] === moment;
    };
    const isOver = () => order[lastSeen.at(-1)?.[1] ?? moment] > order[moment];
    await seen(async () => (await isMet()) || isOver());
    const later = this.#random() * LATEST[moment];
    if (later > 0) {
      await sleep(later);
      await seen(isMet, later);
    }
    return lastSeen;
  }

  #throttle(bytesPerSecond: number): void {
    for (const { network } of this.#stack.seats) network.source.throttle(bytesPerSecond);
  }

  async #judge(
    fault: Fault,
    hit: ReadonlyMap<Subject, Moment>,
    subjects: readonly Subject[],
  ): Promise<Hit[]> {
    const problems = new Map<Subject, string[]>();
    for (const subject of subjects) problems.set(subject, await subject.problems(fault.losesSnapshot));
    await this.#generations.stop();
    const left = await leftoversOf(this.#stack);
    await fault.mend?.(this.#stack);
    return subjects.flatMap((subject) => {
      const moment = hit.get(subject);
      const found = [...(problems.get(subject) ?? []), ...left.map((name) => `left behind: ${name}`)];
      if (moment === undefined && found.length === 0) return [];
      return [{ fault: fault.name, moment: moment ?? 'after commit', mode: subject.mode, problems: found }];
    });
  }
}

/** Polls until the condition is met, for a limited time. */
async function seen(condition: () => Promise<boolean>, within = AIMED_WITHIN): Promise<void> {
  const deadline = Date.now() + within;
  while (!(await condition()) && Date.now() < deadline) await sleep(LOOK_EVERY);
}

async function soon(work: Promise<void>): Promise<void> {
  const late = new AbortController();
  const tooLate = sleep(ENDS_WITHIN, undefined, { signal: late.signal }).then(() => {
    throw new Error(`runs did not end within ${ENDS_WITHIN / 1000} s`);
  });
  tooLate.catch(() => undefined);
  try {
    await Promise.race([work, tooLate]);
  } finally {
    late.abort();
  }
}
