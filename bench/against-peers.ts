import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { inTurn } from './in-turn.ts';
import { allPeers } from './peers/all-peers.ts';
import type { Measured, Section } from './result.ts';
import { copies, dropCase, shapeCase, shapePeers, shapes } from './shapes.ts';
import { ourselves, peerSubjects, type Subject } from './subjects.ts';

/** Copies one table with this project and every peer; of pandas, which has its own table, only the fastest method. */
export async function againstPeers(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const names = allPeers.map(({ name }) => name);
  const quick = names.filter((name) => name === 'pandas: copy' || !name.startsWith('pandas'));
  const { entries, leftOut } = await compare(bench, quick, async (subjects) => {
    const copied = await eventsCase(stack.sourceUrl, options.rows ?? 1_000_000);
    return inTurn(stack, subjects, copied, { rounds: options.rounds ?? 3, countBytes: true });
  });
  return {
    kind: 'times',
    title: 'Against peers',
    about: 'A table with 13 columns (numbers, timestamps, text, jsonb), replaced in the warehouse.',
    entries,
    leftOut,
  };
}

/** Copies tables of different shapes with this project and the peers that come close. */
export async function byShape(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const { entries, leftOut } = await compare(bench, shapePeers, async (subjects) => {
    const all: Measured[] = [];
    for (const shape of shapes) {
      const copied = await shapeCase(stack.sourceUrl, shape, options.rows ?? 1_000_000);
      const fit = subjects.filter(({ name }) => options.peers.length > 0 || copies(shape, name));
      all.push(...(await inTurn(stack, fit, copied, { rounds: options.rounds ?? 3 })));
      await dropCase(stack.sourceUrl, copied, fit);
    }
    return all;
  });
  return {
    kind: 'times',
    title: 'Shapes of tables',
    about:
      'Tables of different shapes, each replaced in the warehouse. The 500 tables are one run of `extractDatabase`; peers get them as a list.',
    entries,
    leftOut,
  };
}

/** Runs `use` with this project and the named peers (all of them by default), and closes them afterwards. */
export async function compare(
  bench: Bench,
  peers: readonly string[] | undefined,
  use: (subjects: readonly Subject[]) => Promise<readonly Measured[]>,
): Promise<{ readonly entries: readonly Measured[]; readonly leftOut: Readonly<Record<string, string>> }> {
  const { ready, leftOut } = await bench.peers(peers);
  const subjects = [await ourselves(bench.stack), ...(await peerSubjects(bench.stack, ready))];
  try {
    return { entries: await use(subjects), leftOut };
  } finally {
    await Promise.all(subjects.map(async (subject) => subject.close()));
  }
}
