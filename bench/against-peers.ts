import { eventsCase, shapeCase, shapes } from './cases.ts';
import type { Bench } from './bench.ts';
import { inTurn } from './in-turn.ts';
import type { Measured, Section } from './result.ts';
import { ourselves, peerSubjects, type Subject } from './subjects.ts';

/** Those that come near: what is slow on one shape is so on the others. */
const QUICK_PEERS = ['psql | psql', 'pgcopydb', 'ADBC', 'DuckDB'];

/** The same table by this project and by every peer. */
export async function againstPeers(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const copied = await eventsCase(stack.sourceUrl, options.rows ?? 1_000_000);
  const { ready, leftOut } = await bench.peers();
  const entries = await withSubjects(bench, ready, async (subjects) =>
    inTurn(stack, subjects, copied, options.rounds ?? 3),
  );
  return {
    kind: 'times',
    title: 'Against peers',
    about: 'One table of 13 columns, of numbers, times, texts and jsonb, replaced in the warehouse.',
    entries,
    leftOut,
  };
}

/** Tables of different shapes, by this project and by the peers that come near. */
export async function byShape(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const { ready, leftOut } = await bench.peers(options.peers.length > 0 ? undefined : QUICK_PEERS);
  const entries = await withSubjects(bench, ready, async (subjects) => {
    const all: Measured[] = [];
    for (const shape of shapes) {
      const copied = await shapeCase(stack.sourceUrl, shape, options.rows ?? 1_000_000);
      all.push(...(await inTurn(stack, subjects, copied, options.rounds ?? 3)));
    }
    return all;
  });
  return {
    kind: 'times',
    title: 'Shapes of tables',
    about:
      'Tables of several shapes, each replaced in the warehouse; 500 tables by one run of `extractDatabase`.',
    entries,
    leftOut,
  };
}

/** The ways of scripts with pandas, at a tenth of the rows and at all of them, to see how they grow. */
export async function pandasTable(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const { ready, leftOut } = await bench.peers(['pandas', 'psql | psql, binary']);
  const rows = options.rows ?? 1_000_000;
  const entries = await withSubjects(bench, ready, async (subjects) => {
    const all: Measured[] = [];
    for (const part of [Math.ceil(rows / 10), rows]) {
      const copied = await eventsCase(stack.sourceUrl, part);
      all.push(...(await inTurn(stack, subjects, copied, options.rounds ?? 1)));
    }
    return all;
  });
  return {
    kind: 'times',
    title: 'Scripts with pandas',
    about:
      'The same table at two sizes, by the ways that scripts with pandas have, this project and a pipe of psql. Larger sizes are computed: what a row more took between the two, times the rows.',
    sizes: true,
    entries,
    leftOut,
  };
}

/** From one size to ten times as much, by this project and by what one would do by hand. */
export async function growth(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const { ready, leftOut } = await bench.peers(['psql | psql, binary']);
  const rows = options.rows ?? 1_000_000;
  const entries = await withSubjects(bench, ready, async (subjects) => {
    const all: Measured[] = [];
    for (const factor of [1, 3, 10]) {
      const copied = await eventsCase(stack.sourceUrl, rows * factor);
      all.push(...(await inTurn(stack, subjects, copied, options.rounds ?? 2)));
    }
    return all;
  });
  return {
    kind: 'times',
    title: 'Growth',
    about: 'The same table at three sizes. Linear growth has an exponent of 1.',
    sizes: true,
    entries,
    leftOut,
  };
}

async function withSubjects<T>(
  { stack }: Bench,
  ready: Parameters<typeof peerSubjects>[1],
  use: (subjects: readonly Subject[]) => Promise<T>,
): Promise<T> {
  const subjects = [await ourselves(stack), ...(await peerSubjects(stack, ready))];
  try {
    return await use(subjects);
  } finally {
    await Promise.all(subjects.map(async (subject) => subject.close()));
  }
}
