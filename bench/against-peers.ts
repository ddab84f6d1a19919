import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { inTurn } from './in-turn.ts';
import { allPeers } from './peers/all-peers.ts';
import type { Measured, Section } from './result.ts';
import { copies, dropCase, shapeCase, shapePeers, shapes } from './shapes.ts';
import { ourselves, peerSubjects, type Subject } from './subjects.ts';

/** The same table by this project and by every peer; of the ways of pandas, which have a table of their own, by the quickest. */
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

/** Tables of different shapes, by this project and by the peers that come near. */
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

/** Lets this project and some peers, all of them where none are named, do something, and closes them. */
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
